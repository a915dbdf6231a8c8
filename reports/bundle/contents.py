"""Which files make up the bundle of a case, and what they are called in it."""

from collections.abc import Sequence
from pathlib import Path

from reports.bundle.format import CaseName, Role
from reports.bundle.ultralytics import engine_header, header_bytes, metadata, suffix, write_onnx
from reports.bundle.writing import Copied, Made
from reports.record.results import ModelInterface

# By which an engine file of Ultralytics is known in the engine cache.
ULTRALYTICS_BACKEND = "ultralytics-engine"
NAMES = {".plan": "model.plan", ".onnx": "model.onnx"}
GRAPH_NAME, LABELS_NAME = "graph.onnx", "labels.safetensors"


def contents(
    case: CaseName,
    interface: ModelInterface,
    at: str,
    engine: Path,
    engine_sha256: str,
    parts: Sequence[str] = (),
    graph: Path | None = None,
    graph_sha256: str = "",
    labels: Path | None = None,
    labels_sha256: str = "",
) -> list[Copied | Made]:
    """The files of a bundle: the engine with its `parts`, the graph, the labels, and the file for `ultralytics.YOLO`.

    The hashes are those of the record; `engine_sha256` is empty where engine and parts have been checked together.
    """
    files: list[Copied | Made] = []
    same = graph is not None and not parts and graph_sha256 == engine_sha256
    roles = (Role.ENGINE, Role.GRAPH) if same else (Role.ENGINE,)
    if case.backend == ULTRALYTICS_BACKEND:
        # Its loader wants the description before the plan, which Ultralytics itself wrote.
        offset = header_bytes(engine)
        files.append(Copied("yolo.engine", (Role.ENGINE, Role.ULTRALYTICS), engine, engine_sha256))
        files.append(Copied("model.plan", (Role.PLAN,), engine, engine_sha256, offset))
        return files
    files.append(Copied(NAMES[engine.suffix], roles, engine, engine_sha256))
    files += [Copied(name, (Role.PART,), engine.parent / name) for name in parts]
    if graph is not None and not same:
        files.append(Copied(GRAPH_NAME, (Role.GRAPH,), graph, graph_sha256))
    if labels is not None:
        files.append(Copied(LABELS_NAME, (Role.LABELS,), labels, labels_sha256))
    kind, entries = suffix(case, interface), metadata(case, interface, at) if interface.class_names else {}
    if kind == ".engine":
        files.append(Copied(f"yolo{kind}", (Role.ULTRALYTICS,), engine, engine_sha256, prefix=engine_header(entries)))
    elif kind == ".onnx":
        files.append(Made(f"yolo{kind}", (Role.ULTRALYTICS,), lambda path: write_onnx(engine, path, entries)))
    return files
