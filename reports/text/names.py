"""What models, engines and cases are called where a person reads of them: one way for page, terminal and job summary.

Commands, records and tables of data keep the ids.
"""

import re

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
# How the names of model families begin, and the towers of a model that has two.
FAMILIES = {"yolo": "YOLO", "clip": "CLIP", "siglip": "SigLIP"}
TOWER = re.compile(r"-(image|text)$")


def engine_name(backend: str, precision: str, streams: int = 1) -> str:
    """`TensorRT INT8 + CUDA graph`; a backend without a name here by its own: `openvino FP16`.

    `streams` are the callers that ask at the same time. One is the usual, and not said; several stand early, where a
    narrow column does not cut them off: `TensorRT INT8, 2 streams + CUDA graph`.
    """
    # Not by str.format: a precision is text from a record and might hold braces itself.
    precision_text = precision.upper() + (f", {streams} streams" if streams > 1 else "")
    template = ENGINES.get(backend)
    return template.replace("{}", precision_text) if template else f"{backend} {precision_text}"


def backend_name(backend: str) -> str:
    """The same without a precision: `TensorRT + CUDA graph`."""
    return ENGINES[backend].replace(" {}", "") if backend in ENGINES else backend


def model_name(model: str) -> str:
    """`YOLOv8n`, `CLIP image`; a model of another family by its own name."""
    for begins, family in FAMILIES.items():
        if model.startswith(begins):
            return TOWER.sub(r" \1", f"{family}{model.removeprefix(begins)}")
    return model


def case_name(model: str, engine: str, batches: str) -> str:
    """`YOLOv8n · TensorRT INT8 · batch 8`; `engine` is an `engine_name`, `batches` may be several, in words."""
    return f"{model_name(model)} · {engine} · batch {batches}"


BASELINE = engine_name(BASELINE_BACKEND, BASELINE_PRECISION)
