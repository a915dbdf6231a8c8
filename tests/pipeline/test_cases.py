"""Which pipelines a run measures."""

from dataclasses import replace

import pytest

from fixtures import ROOT
from fixtures.errors import BenchError
from fixtures.pipeline.measuring.cases import PHOTO_SETS, plan_pipelines
from fixtures.pipeline.registry import DECODER_NEEDS, DECODERS, unsupported_reason
from fixtures.pipeline.spec import BASELINE, NMS_IN_GRAPH, EngineName, PipelineSpec
from fixtures.plan.options import Options
from fixtures.plan.suite import Suite

EMBEDDED = Suite("embedded", "a test")


def planned(suite=EMBEDDED, **options):
    return plan_pipelines(Options.from_values({"device": "cpu", **options}, ROOT), suite)


def test_the_baseline_comes_first_on_both_photo_sets_and_ids_are_readable():
    cases = planned()
    assert list(cases)[:2] == [f"photo-pil-reference-pytorch-fp32-serial-{name}" for name in PHOTO_SETS]
    assert all(each.id == name for name, each in cases.items())
    assert any("simplejpeg-fast" in name for name in cases)


def test_one_pipeline_exchanges_the_engines_and_nothing_else():
    specs = [case.spec for case in planned().values()]
    kept = ("decoder", "preprocessor", "nms", "overlap", "batch")
    alike = {spec for spec in specs if all(getattr(spec, name) == getattr(BASELINE, name) for name in kept)}
    assert len(alike - {BASELINE}) == 1


def test_all_exchanges_each_decoder_resize_and_nms_alone():
    specs = {case.spec for case in planned(pipelines="all").values()}
    assert {spec.decoder for spec in specs} == set(DECODERS)
    assert {spec.nms for spec in specs if spec.preprocessor == "reference"} == {"ultralytics", "batched", "matrix"}
    inside = next(spec for spec in specs if spec.nms == NMS_IN_GRAPH)
    assert inside.id.endswith("onnxruntime-fp32-in-graph-threads") and replace(inside, nms="batched") in specs
    assert BASELINE in specs and len({spec.id for spec in specs}) == len(specs)
    reasons = {case.spec.decoder: case.reason for case in planned(pipelines="all").values() if case.reason}
    assert "needs an NVIDIA GPU" in reasons["nvimagecodec"]


def test_nms_inside_the_graph_is_measured_on_request_and_has_a_reason_where_no_engine_reads_onnx():
    assert not any(case.spec.nms == NMS_IN_GRAPH for case in planned().values())
    cases = [case for case in planned(pipelines="all", backends="pytorch").values() if case.spec.nms == NMS_IN_GRAPH]
    assert cases and all("built from a PyTorch module" in case.reason for case in cases)


@pytest.mark.parametrize(
    "options", [{"pipelines": "none"}, {"models": "yolov8n"}, {"backends": "onnxruntime"}, {"precisions": "int8"}]
)
def test_a_run_without_both_networks_or_the_baseline_has_no_pipeline(options):
    assert not planned(**options)


def test_shards_share_the_pipelines_out():
    parts = [set(planned(pipelines="all", shard=f"{index}/3")) for index in (1, 2, 3)]
    assert set.union(*parts) == set(planned(pipelines="all"))
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_what_a_pipeline_names_must_exist():
    ort = EngineName("onnxruntime", "fp32")
    good = PipelineSpec("pil", "fast", ort, ort, "batched", "threads")
    assert not unsupported_reason(good, "cpu")
    for field, value, said in (
        ("decoder", "gimp", "no decoder 'gimp'"),
        ("preprocessor", "none", "no preprocessor 'none'"),
        ("nms", "none", "no NMS 'none'"),
        ("detector", EngineName("caffe", "fp32"), "no backend 'caffe'"),
    ):
        broken = PipelineSpec(**{**{name: getattr(good, name) for name in good.__dataclass_fields__}, field: value})
        assert said in unsupported_reason(broken, "cpu")
    with pytest.raises(BenchError, match="cannot overlap by 'magic'"):
        PipelineSpec("pil", "fast", ort, ort, "batched", "magic")
    assert set(DECODER_NEEDS) == set(DECODERS)
