"""A detector's engine as `ultralytics.YOLO` reads it: with the metadata that its own exporter writes.

A TensorRT engine of Ultralytics is 4 bytes of length, that many bytes of JSON, then the plan (ultralytics/utils/export/
engine.py, `onnx2engine`); an ONNX graph has the same entries as text in its `metadata_props` (engine/exporter.py,
`export_onnx`). Read by ultralytics/nn/backends/base.py, `engine_header` and `apply_metadata`.
"""

import json
from pathlib import Path
from typing import Any

from reports.bundle.format import CaseName
from reports.errors import ReportError
from reports.record.results import DETECTOR, LETTERBOX, ModelInterface

LENGTH_BYTES = 4
# What Ultralytics runs as the benchmark does: a letterboxed image, one output, its own NMS.
BACKENDS = {
    **dict.fromkeys(("onnxruntime", "onnxruntime-cuda"), ".onnx"),
    **dict.fromkeys(
        ("tensorrt", "tensorrt-cuda-graph", "tensorrt-dynamic", "trtexec", "ultralytics-engine"), ".engine"
    ),
}


def suffix(case: CaseName, interface: ModelInterface) -> str:
    """The suffix of the file that `ultralytics.YOLO` loads; empty where it cannot run this engine."""
    runs = interface.kind == DETECTOR and interface.nms and interface.resize == LETTERBOX
    return BACKENDS.get(case.backend, "") if runs else ""


def metadata(case: CaseName, interface: ModelInterface, at: str) -> dict[str, Any]:
    """What Ultralytics must know of the engine. The names of the entries are its own."""
    channels, height, width = interface.input_shape
    return {
        "description": f"{case.model} by image-engine-bench: {case.backend}, {case.precision}",
        "author": "image-engine-bench",
        "date": at,
        "license": "AGPL-3.0 License (https://ultralytics.com/license)",
        "stride": interface.stride,
        "task": "detect",
        "batch": case.batch,
        "imgsz": [height, width],
        "names": dict(enumerate(interface.class_names)),
        "args": {"batch": case.batch, "dynamic": case.dynamic_batch, "nms": False},
        "channels": channels,
        "end2end": False,
    }


def engine_header(entries: dict[str, Any]) -> bytes:
    """What stands before the plan."""
    text = json.dumps(entries).encode()
    return len(text).to_bytes(LENGTH_BYTES, "little", signed=True) + text


def header_bytes(engine: Path) -> int:
    """How many bytes of an engine file of Ultralytics stand before its plan. Raises `ReportError` where it is none."""
    size = engine.stat().st_size
    with engine.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little", signed=True)
        try:
            if not 0 < length < size - LENGTH_BYTES:
                raise ValueError("the length in its first four bytes cannot be")
            json.loads(file.read(length))
        except ValueError as error:
            raise ReportError(
                f"{engine} is no engine of Ultralytics: {error}", hint="run the benchmark again"
            ) from error
    return LENGTH_BYTES + length


def write_onnx(graph: Path, target: Path, entries: dict[str, Any]) -> None:
    """Write `graph` with the metadata to `target`, its batch without a name.

    Ultralytics takes a graph whose batch has a name for one of any height and width as well, and would feed it images
    that it cannot take (nn/backends/onnx.py, `dynamic`).
    """
    import onnx

    model = onnx.load(graph, load_external_data=False)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].ClearField("dim_param")
    # What was inferred of the tensors between them has the name as well.
    del model.graph.value_info[:]
    onnx.helper.set_model_props(model, {name: str(entry) for name, entry in entries.items()})
    onnx.save(model, target)
