"""What models, engines and cases are called where a person reads of them: one way for page, terminal and job summary.

Commands, records and tables of data keep the ids.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from reports.record.schema import BASELINE_BACKEND, BASELINE_PRECISION

# The precision stands where the braces are.
ENGINES = {
    "pytorch": "PyTorch {}",
    "pytorch-cuda-graph": "PyTorch {} + CUDA graph",
    "torch-compile": "torch.compile {}",
    "torch-compile-cuda-graph": "torch.compile {} + CUDA graph",
    "torch-compile-max-autotune": "torch.compile {}, max-autotune",
    "onnxruntime": "ONNX Runtime {}",
    "onnxruntime-cuda": "ONNX Runtime CUDA {}",
    "onnxruntime-tensorrt": "ONNX Runtime TensorRT {}",
    "tensorrt": "TensorRT {}",
    "tensorrt-cuda-graph": "TensorRT {} + CUDA graph",
    "tensorrt-dynamic": "TensorRT {}, any batch size",
    "trtexec": "trtexec {}",
    "torch-tensorrt": "Torch-TensorRT {}",
    "ultralytics-engine": "Ultralytics engine {}",
}
# The same where there is little room, as beside a bar: `graph` is a CUDA graph.
SHORT = {
    "pytorch-cuda-graph": "PyTorch {} · graph",
    "torch-compile-cuda-graph": "torch.compile {} · graph",
    "torch-compile-max-autotune": "torch.compile {} · tuned",
    "onnxruntime-tensorrt": "ONNX Runtime TRT {}",
    "tensorrt-cuda-graph": "TensorRT {} · graph",
    "tensorrt-dynamic": "TensorRT {} · any batch",
}
# How the names of model families begin, and the towers of a model that has two.
FAMILIES = {"yolo": "YOLO", "clip": "CLIP", "siglip": "SigLIP"}
TOWER = re.compile(r"-(image|text)$")
PRECISION = re.compile(r"\b(FP32|FP16|INT8)\b")


def engine_name(backend: str, precision: str, streams: int = 1) -> str:
    """`TensorRT INT8 + CUDA graph`; a backend without a name here by its own: `openvino FP16`.

    `streams` are the callers that ask at the same time. One is the usual, and not said; of several:
    `TensorRT INT8 + CUDA graph, 2 streams`.
    """
    return _named(ENGINES, backend, precision) + (f", {streams} streams" if streams > 1 else "")


def short_engine_name(backend: str, precision: str, streams: int = 1) -> str:
    """The same where there is little room: `TensorRT INT8 · graph ×2`. What `graph` and `×2` are is said beside it."""
    return _named({**ENGINES, **SHORT}, backend, precision) + (f" ×{streams}" if streams > 1 else "")


def short_name_words(names: Iterable[str]) -> list[tuple[str, str]]:
    """(sign, meaning) of what those of `short_engine_name` abbreviate, as far as these names do."""
    seen = " ".join(names)
    counts = sorted(set(re.findall(r" ×(\d+)", seen)), key=int)
    signs = {"graph": "CUDA graph", "tuned": "max-autotune", "TRT": "TensorRT"}
    words = [(sign, meaning) for sign, meaning in signs.items() if re.search(rf" {sign}\b", seen)]
    return words + [(f"×{count}", f"{count} streams (callers at the same time)") for count in counts]


def _named(templates: Mapping[str, str], backend: str, precision: str) -> str:
    # Not by str.format: a precision is text from a record and might hold braces itself.
    template = templates.get(backend)
    return template.replace("{}", precision.upper()) if template else f"{backend} {precision.upper()}"


def backend_name(backend: str) -> str:
    """The same without a precision: `TensorRT + CUDA graph`."""
    return ENGINES[backend].replace(" {}", "") if backend in ENGINES else backend


def model_name(model: str) -> str:
    """`YOLOv8n`, `CLIP image`; a model of another family by its own name."""
    for begins, family in FAMILIES.items():
        if model.startswith(begins):
            return TOWER.sub(r" \1", f"{family}{model.removeprefix(begins)}")
    return model


def uses(model: str) -> tuple[str, str]:
    """What a model is used for, many inputs at once and one at a time: `("Photo library", "One photo")`."""
    if (tower := TOWER.search(model)) and tower[1] == "text":
        return "Many texts", "One text"
    return "Photo library", "One photo"


def either(engines: Sequence[str]) -> list[str]:
    """The names of engines, to be joined by "or"; of those that differ in their precision alone, the rest once.

    `TensorRT FP16 + CUDA graph`, `TensorRT INT8 + CUDA graph` → `TensorRT FP16`, `INT8 + CUDA graph`.
    """
    parts = [PRECISION.split(name, maxsplit=1) for name in engines]
    if len(parts) < 2 or any(len(each) != 3 or each[::2] != parts[0][::2] for each in parts):
        return list(engines)
    before, _, after = parts[0]
    words = [precision for _, precision, _ in parts]
    return [f"{before}{words[0]}", *words[1:-1], f"{words[-1]}{after}"]


def unit(model: str) -> str:
    """What a speed of this model counts."""
    return "texts/s" if uses(model)[0] == "Many texts" else "img/s"


def case_name(model: str, engine: str, batches: str) -> str:
    """`YOLOv8n · TensorRT INT8 · batch 8`; `engine` is an `engine_name`, `batches` may be several, in words."""
    return f"{model_name(model)} · {engine} · batch {batches}"


BASELINE = engine_name(BASELINE_BACKEND, BASELINE_PRECISION)
