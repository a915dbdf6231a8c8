"""Sentences about cases that several parts of a report share."""

from collections.abc import Iterable

from reports.analysis.cases import CaseSummary, streams_words
from reports.text.formatting import join_words, percent, percent_interval

# What engines are called where a person reads them first; tables and commands keep the backend's own name.
# The precision stands where the braces are.
ENGINES = {
    "pytorch": "PyTorch {}",
    "pytorch-cuda-graph": "PyTorch {} with a CUDA graph",
    "torch-compile": "torch.compile {}",
    "torch-compile-cuda-graph": "torch.compile {} with a CUDA graph",
    "torch-compile-max-autotune": "torch.compile {}, max-autotune",
    "onnxruntime": "ONNX Runtime {}",
    "onnxruntime-cuda": "ONNX Runtime CUDA {}",
    "onnxruntime-tensorrt": "ONNX Runtime TensorRT {}",
    "tensorrt": "TensorRT {}",
    "tensorrt-cuda-graph": "TensorRT {} with a CUDA graph",
    "tensorrt-dynamic": "TensorRT {}, any batch size",
    "trtexec": "trtexec {}",
    "torch-tensorrt": "Torch-TensorRT {}",
    "ultralytics-engine": "Ultralytics engine {}",
}


def describe_cases(cases: Iterable[CaseSummary], most: int = 6) -> str:
    """Model, engine and batches in words: `yolov8n onnxruntime INT8 (batch 1 and 8)`."""
    batches: dict[str, list[int]] = {}
    for case in cases:
        batches.setdefault(f"{case.model} {case.name}", []).append(case.batch)
    return join_words((f"{engine} (batch {join_words(sizes)})" for engine, sizes in batches.items()), most=most)


def gate_sentence(case: CaseSummary, least: float) -> str:
    """What the gate found: `keeps 93.4 % (92.0–94.8) of the baseline's mAP50-95`."""
    metric = case.metric
    if metric is None or metric.ratio is None:
        return "no ratio was recorded"
    interval = percent_interval(metric.ratio)
    shown = percent(metric.ratio.value, least) + (f" ({interval})" if interval else "")
    return f"keeps {shown} of the baseline's {metric.name}"


def engine_name(case: CaseSummary) -> str:
    """`TensorRT INT8 with a CUDA graph`; a backend without a name here by its own: `openvino FP16`."""
    known = ENGINES.get(case.backend)
    # Not by str.format: a precision is text from a record and might hold braces itself.
    if known is None:
        return case.name
    return known.replace("{}", case.precision.upper()) + streams_words(case.streams)
