"""From a record and an engine cache to a bundle: which case, which files, and what is refused.

Records are made up here; tests/bundle ships real engines.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.__main__ import main
from reports.bundle.format import Bundle, Gate, Role
from reports.bundle.reading import OpenBundle, read_bundle
from reports.bundle.ultralytics import engine_header
from reports.errors import ReportError
from reports.record.hashing import content_sha256
from reports.record.schema import RECORD, Row
from reports.record.store import Recorder
from reports.shipping.ship import Wanted, ship
from tests.helpers.rows import accuracy, build, card_speed, case, session_row, speed

YOLO = {
    "kind": "detector",
    "input_name": "images",
    "output_name": "output0",
    "input_shape": [3, 640, 640],
    "resize": "letterbox",
    "class_names": ["cat", "dog"],
    "stride": 32,
    "nms": True,
}
H200 = {"name": "NVIDIA H200", "compute_capability": [9, 0], "driver": "580.65.06"}
PLAN, GRAPH = b"ftrt" + bytes(range(256)) * 40, b"an ONNX graph"
TRT = {"tensorrt": "10.3.0", "workspace_mb": 4096, "builder_level": 3}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Run:
    """A run on a made-up H200, and its engine cache."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "engines"
        self.cache.mkdir(parents=True)
        self.rows: list[Row] = [session_row(gpu="NVIDIA H200", card=H200)]
        self.rows[0]["settings"]["engine_cache"] = str(self.cache)
        self.add("pytorch", "fp32", 4.0, 1.0, b"weights", "weights.safetensors")

    def store(self, path: str, content: bytes) -> dict[str, Any]:
        (self.cache / path).parent.mkdir(parents=True, exist_ok=True)
        (self.cache / path).write_bytes(content)
        return {"path": path, "sha256": sha256(content)}

    def add(
        self,
        backend: str,
        precision: str,
        p50: float,
        kept: float,
        engine: bytes = PLAN,
        name: str = "model.plan",
        batch: int = 8,
        parts: dict[str, bytes] | None = None,
        **values: Any,
    ) -> None:
        each = case(backend, precision, batch=batch)
        file = self.store(f"{each['id']}-0123456789abcdef/{name}", engine)
        for part, content in (parts or {}).items():
            self.store(f"{each['id']}-0123456789abcdef/{part}", content)
        if parts:
            folder = self.cache / f"{each['id']}-0123456789abcdef"
            file |= {"parts": list(parts), "sha256": content_sha256(folder / name, [folder / part for part in parts])}
        graph = self.store("yolov8n-graph-0123456789abcdef/model.onnx", GRAPH)
        named = {"engine_file": file, "graph_file": graph, "built_with": TRT, "interface": YOLO, "dynamic_batch": False}
        self.rows += [
            build(each, engine=file["sha256"], **{**named, **values}),
            card_speed(each, p50, engine=file["sha256"]),
            accuracy(each, kept, engine_sha256=file["sha256"]),
        ]

    def ship(self, output: Path, model: str = "yolov8n", **wanted: Any) -> tuple[Bundle, OpenBundle]:
        model = "" if wanted.get("case_id") else model
        return ship(self.rows, Wanted(model, **wanted), output), read_bundle(output)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_plan_is_shipped_bare_and_as_ultralytics_reads_it(run: Run, tmp_path: Path):
    run.add("tensorrt-cuda-graph", "fp16", 1.0, 0.999)
    bundle, opened = run.ship(tmp_path / "bundle")
    assert bundle == opened.bundle and bundle.case.id == "yolov8n-tensorrt-cuda-graph-fp16-b8"
    assert {each.path: each.roles for each in bundle.files} == {
        "model.plan": (Role.ENGINE,),
        "graph.onnx": (Role.GRAPH,),
        "yolo.engine": (Role.ULTRALYTICS,),
    }
    assert opened.engine.read_bytes() == PLAN and opened.path(Role.GRAPH).read_bytes() == GRAPH
    content = opened.path(Role.ULTRALYTICS).read_bytes()
    length = int.from_bytes(content[:4], "little")
    assert content[4 + length :] == PLAN
    entries = json.loads(content[4 : 4 + length])
    assert (entries["names"], entries["imgsz"], entries["batch"]) == ({"0": "cat", "1": "dog"}, [640, 640], 8)


def test_the_description_has_machine_versions_speed_accuracy_and_gate(run: Run, tmp_path: Path):
    run.add("tensorrt", "int8", 0.8, 0.99)
    bundle, _ = run.ship(tmp_path / "bundle")
    assert (bundle.machine.device, bundle.machine.gpu) == ("cuda", "NVIDIA H200")
    assert (bundle.machine.compute_capability, bundle.machine.driver) == ("9.0", "580.65.06")
    assert bundle.built_with == TRT and bundle.packages["torch"] == "2.15.0"
    assert bundle.speed.images_per_second == pytest.approx(8 / 0.8e-3)
    assert bundle.speed.low < bundle.speed.images_per_second < bundle.speed.high
    gated = bundle.metrics[0]
    assert gated.ratio_value == pytest.approx(0.99) and gated.low < 0.99 < gated.high
    assert bundle.gate == Gate(tolerance=0.02, passed=True, certain=True)
    assert bundle.origin.weights_sha256 == "e4c9" * 16 and bundle.origin.session == run.rows[0]["session"]
    assert "Recommended for throughput: TensorRT INT8" in bundle.origin.advice
    uncertain = Run(tmp_path / "more")
    uncertain.add("tensorrt", "int8", 0.8, 0.985)
    assert uncertain.ship(tmp_path / "likely")[0].gate == Gate(tolerance=0.02, passed=True, certain=False)


def test_where_the_recommended_cannot_be_shipped_the_next_best_is_and_the_bundle_says_so(run: Run, tmp_path: Path):
    run.add("torch-compile-cuda-graph", "fp16", 0.5, 0.999, b"weights", "weights.safetensors")
    run.add("tensorrt", "int8", 0.6, 0.9)
    run.add("tensorrt", "fp16", 1.0, 0.999)
    bundle, _ = run.ship(tmp_path / "bundle")
    assert bundle.case.id == "yolov8n-tensorrt-fp16-b8"
    assert "The fastest for throughput that can be shipped: TensorRT FP16" in bundle.origin.advice
    assert "torch.compile FP16 + CUDA graph is recommended, and is not shipped: what torch.compile makes" in (
        bundle.origin.advice
    )


def test_latency_is_batch_one_and_throughput_the_best_batch(run: Run, tmp_path: Path):
    run.add("pytorch", "fp32", 3.0, 1.0, b"weights", "weights.safetensors", batch=1)
    run.add("tensorrt", "fp16", 0.7, 0.999, batch=1)
    run.add("tensorrt", "fp16", 1.0, 0.999)
    assert run.ship(tmp_path / "a")[0].case.batch == 8
    assert run.ship(tmp_path / "b", mode="latency")[0].case.batch == 1


def test_without_batch_one_there_is_no_latency(run: Run, tmp_path: Path):
    run.add("tensorrt", "fp16", 1.0, 0.999)
    with pytest.raises(ReportError, match="the run timed no batch of 1 of yolov8n") as refused:
        run.ship(tmp_path / "bundle", mode="latency")
    assert "--batches 1" in refused.value.hint


def test_an_engine_of_ultralytics_is_split_and_has_no_graph_of_its_own(run: Run, tmp_path: Path):
    own = engine_header({"names": {"0": "other"}}) + PLAN
    run.add("ultralytics-engine", "fp16", 1.0, 0.999, own, "model.engine", graph_file=None)
    _, opened = run.ship(tmp_path / "bundle")
    assert opened.engine == opened.path(Role.ULTRALYTICS) and opened.path(Role.GRAPH) is None
    assert opened.engine.read_bytes() == own and opened.path(Role.PLAN).read_bytes() == PLAN
    run.add("ultralytics-engine", "int8", 0.5, 0.999, PLAN, "model.engine", graph_file=None)
    with pytest.raises(ReportError, match="is no engine of Ultralytics"):
        run.ship(tmp_path / "other")


def test_all_parts_of_an_engine_are_shipped_and_checked_together(run: Run, tmp_path: Path):
    parts = {"tensorrt/graph_0_sm90.engine": PLAN, "tensorrt/graph_0_sm90.profile": b"profile"}
    run.add("onnxruntime-tensorrt", "fp16", 1.0, 0.999, b"a graph for one batch", "model.onnx", parts=parts)
    bundle, opened = run.ship(tmp_path / "bundle")
    assert {each.path: each.roles for each in bundle.files} == {
        "model.onnx": (Role.ENGINE,),
        **dict.fromkeys(parts, (Role.PART,)),
        "graph.onnx": (Role.GRAPH,),
    }
    assert opened.engine_sha256 == run.rows[-2]["values"]["engine_sha256"]
    (run.cache / "yolov8n-onnxruntime-tensorrt-fp16-b8-0123456789abcdef" / "tensorrt" / "graph_0_sm90.engine").touch()
    (run.cache / "yolov8n-onnxruntime-tensorrt-fp16-b8-0123456789abcdef" / next(iter(parts))).write_bytes(b"other")
    with pytest.raises(ReportError, match="what belongs to it are not what was measured"):
        run.ship(tmp_path / "other")


def without_cache(run: Run) -> None:
    run.rows[0]["settings"]["engine_cache"] = "/nowhere/.engines"


def without_name(run: Run) -> None:
    del run.rows[0]["settings"]["engine_cache"]


def with_another_plan(run: Run) -> None:
    (run.cache / "yolov8n-tensorrt-fp16-b8-0123456789abcdef" / "model.plan").write_bytes(PLAN[:-1] + b"\1")


def with_another_graph(run: Run) -> None:
    (run.cache / "yolov8n-graph-0123456789abcdef" / "model.onnx").write_bytes(b"another graph")


def without_plan(run: Run) -> None:
    (run.cache / "yolov8n-tensorrt-fp16-b8-0123456789abcdef" / "model.plan").unlink()


def of_an_earlier_version(run: Run) -> None:
    for row in run.rows[1:]:
        row["values"].pop("engine_file", None)


def with_a_path_to_elsewhere(run: Run) -> None:
    (run.cache.parent / "secret").write_bytes(PLAN)
    run.rows[4]["values"]["engine_file"]["path"] = "../secret"


def timed_with_another(run: Run) -> None:
    run.rows[5]["values"]["engine_sha256"] = "cd" * 32


@pytest.mark.parametrize(
    ("damage", "told", "hint"),
    [
        (without_cache, "the engine cache of this run is not here: /nowhere/.engines", "give --engine-cache DIR"),
        (without_name, "the record names none", "give --engine-cache DIR"),
        (with_another_plan, "is not the file that was measured", "run the benchmark again"),
        (with_another_graph, "is not the file that was measured", "run the benchmark again"),
        (without_plan, "does not hold yolov8n-tensorrt-fp16-b8-0123456789abcdef/model.plan", "--engine-cache"),
        (of_an_earlier_version, "does not say where its engine lies", "run the benchmark again"),
        (with_a_path_to_elsewhere, "does not hold ../secret", "--engine-cache"),
        (timed_with_another, "nothing of yolov8n can be shipped", "--backends onnxruntime"),
    ],
)
def test_what_cannot_be_shipped_is_refused_in_a_sentence(
    run: Run, tmp_path: Path, damage: Callable[[Run], None], told: str, hint: str
):
    run.add("tensorrt", "fp16", 1.0, 0.999)
    damage(run)
    with pytest.raises(ReportError) as refused:
        run.ship(tmp_path / "bundle")
    assert told in refused.value.what and hint in refused.value.hint
    assert not (tmp_path / "bundle").exists() and not list(tmp_path.glob(".bundle-*"))


def test_a_cache_that_was_moved_is_named(run: Run, tmp_path: Path):
    run.add("tensorrt", "fp16", 1.0, 0.999)
    moved = run.cache.rename(tmp_path / "moved")
    assert run.ship(tmp_path / "bundle", engine_cache=moved)[0].case.backend == "tensorrt"


def test_a_case_by_name_must_pass_too(run: Run, tmp_path: Path):
    run.add("tensorrt", "fp16", 1.0, 0.999)
    run.add("tensorrt", "int8", 0.5, 0.9)
    assert run.ship(tmp_path / "a", case_id="yolov8n-tensorrt-fp16-b8")[0].origin.advice.startswith("Chosen by name")
    for name, told in (
        ("yolov8n-tensorrt-int8-b8", "it fails its gate, it keeps 90.0"),
        ("yolov8n-pytorch-fp32-b8", "a checkpoint is a pickle"),
        ("yolov8n-tensorrt-fp16-b64", "has no such case"),
    ):
        with pytest.raises(ReportError) as refused:
            run.ship(tmp_path / "b", case_id=name)
        assert told in refused.value.what


def test_a_folder_with_something_in_it_is_left_alone(run: Run, tmp_path: Path):
    run.add("tensorrt", "fp16", 1.0, 0.999)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.txt").write_text("mine")
    with pytest.raises(ReportError, match="there is something already"):
        run.ship(tmp_path / "bundle")
    (tmp_path / "empty").mkdir()
    run.ship(tmp_path / "empty")


def test_the_command_takes_a_folder_or_a_record(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run.add("tensorrt", "fp16", 1.0, 0.999)
    with Recorder(tmp_path / "run" / RECORD) as recorder:
        for row in run.rows:
            recorder.write(row)
    for number, record in enumerate((tmp_path / "run", tmp_path / "run" / RECORD)):
        output = tmp_path / f"bundle{number}"
        assert main(["ship", str(record), "--model", "yolov8n", "--for", "throughput", "--output", str(output)]) == 0
        assert read_bundle(output).bundle.case.precision == "fp16"
    assert "Recommended for throughput" in capsys.readouterr().out
    assert main(["ship", str(tmp_path / "run"), "--model", "yolov9", "--output", str(tmp_path / "c")]) == 2
    assert "models of this record: yolov8n" in capsys.readouterr().err
    assert main(["ship", str(tmp_path / "run"), "--model", "yolov8n", "--for", "fun", "--output", "c"]) == 2


def test_on_a_cpu_the_speed_is_end_to_end(tmp_path: Path):
    run = Run(tmp_path)
    each = case("onnxruntime", "fp32", batch=1)
    rows = [session_row()]
    rows[0]["settings"]["engine_cache"] = str(run.cache)
    file = run.store("engine-0123456789abcdef/model.onnx", GRAPH)
    values = {"engine_file": file, "graph_file": file, "built_with": {}, "interface": {**YOLO, "nms": False}}
    rows += [build(each, engine=file["sha256"], dynamic_batch=True, **values)]
    rows += [speed(each, 5.0, engine=file["sha256"]), accuracy(each, 1.0, engine_sha256=file["sha256"])]
    bundle = ship(rows, Wanted("yolov8n"), tmp_path / "bundle")
    assert (bundle.machine.device, bundle.machine.cpu, bundle.machine.gpu) == ("cpu", "Test CPU", "")
    assert (bundle.speed.quantity, bundle.speed.latency_ms.p50) == ("end-to-end latency", 5.0)
    assert [each.roles for each in bundle.files] == [(Role.ENGINE, Role.GRAPH)]


def test_a_tao_network_is_not_shipped_and_says_why(run: Run, tmp_path: Path):
    run.add("tensorrt", "fp16", 1.0, 0.999)
    for row in run.rows[1:]:
        row["case"]["task"] = "tao-detection"
    with pytest.raises(ReportError) as refused:
        run.ship(tmp_path / "bundle", case_id="yolov8n-tensorrt-fp16-b8")
    assert "has no words for those of a TAO network" in refused.value.what
