"""Which served models a run has, and why some cannot be measured."""

import pytest
import torch

from fixtures import ROOT
from fixtures.errors import BenchError
from fixtures.plan.options import Options
from fixtures.plan.suite import Suite
from fixtures.serving.cases import ServingCase, plan_serving
from tests.helpers.runs import raw_options

SUITE = Suite("embedded", "for tests")


def planned(**changed: str | bool) -> dict[str, ServingCase]:
    options = Options.from_values(raw_options(suite="embedded", triton="start", device="cpu", **changed), ROOT)
    return plan_serving(options, SUITE)


def test_a_server_of_the_suite_has_one_engine_on_a_cpu() -> None:
    cases = planned()

    assert list(cases) == ["triton-yolov8n", "triton-clip-image"]
    assert {(case.backend, case.precision) for case in cases.values()} == {("onnxruntime", "fp32")}


def test_engines_that_are_named_have_a_row_each() -> None:
    cases = planned(triton_engines="pytorch:fp32,onnxruntime:fp32,tensorrt:fp16", models="yolov8n")

    assert list(cases) == ["triton-yolov8n-pytorch-fp32", "triton-yolov8n", "triton-yolov8n-tensorrt-fp16"]
    assert cases["triton-yolov8n-tensorrt-fp16"].reason, "no TensorRT on a CPU"
    assert not cases["triton-yolov8n-pytorch-fp32"].reason


def test_a_gpu_has_the_baseline_and_cuda_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    options = Options.from_values(raw_options(suite="embedded", triton="start", device="cuda"), ROOT)
    cases = plan_serving(options, SUITE)

    assert list(cases) == [
        f"triton-{model}-{engine}"
        for model in ("yolov8n", "clip-image")
        for engine in ("pytorch-fp32", "pytorch-cuda-graph-fp16")
    ]
    assert all("sees no CUDA device" in case.reason for case in cases.values())


def test_onnx_runtime_on_the_cpu_is_no_row_of_a_gpu() -> None:
    options = raw_options(suite="embedded", triton="start", device="cuda", triton_engines="onnxruntime:fp32")

    assert all(case.reason for case in plan_serving(Options.from_values(options, ROOT), SUITE).values())


def test_a_server_of_the_users_has_its_own_engine() -> None:
    cases = plan_serving(
        Options.from_values(raw_options(suite="embedded", triton="http://localhost:8000", device="cuda"), ROOT), SUITE
    )

    assert list(cases) == ["triton-yolov8n", "triton-clip-image"]
    assert not any(case.backend or case.reason for case in cases.values())


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(BenchError, match="--triton-engines: unknown backend onnx"):
        planned(triton_engines="onnx:fp32")


@pytest.mark.parametrize("text", ["pytorch", "pytorch:fp8", ":fp16"])
def test_what_is_no_engine_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match="is no engine"):
        planned(triton_engines=text)
