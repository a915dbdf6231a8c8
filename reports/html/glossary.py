"""The words of the page that a reader may not know, a line each; only those that the page uses."""

from collections.abc import Sequence

from reports.analysis.cases import CaseSummary
from reports.text.names import backend_name

BACKENDS = {
    "pytorch": "PyTorch as it is (eager); its FP32, with TF32 off, is the baseline.",
    "pytorch-cuda-graph": "PyTorch, its kernels recorded once and launched together (a CUDA graph).",
    "torch-compile": "PyTorch's own compiler, torch.compile (Inductor).",
    "torch-compile-cuda-graph": "torch.compile, launched as one CUDA graph.",
    "torch-compile-max-autotune": "torch.compile that tries out kernels for longer, launched as a CUDA graph.",
    "onnxruntime": "ONNX Runtime on the CPU.",
    "onnxruntime-cuda": "ONNX Runtime with its CUDA provider.",
    "onnxruntime-tensorrt": "ONNX Runtime that hands the graph to TensorRT.",
    "tensorrt": "NVIDIA TensorRT: an engine built for this card from the ONNX graph, for one batch size.",
    "tensorrt-cuda-graph": "The same TensorRT engine, launched as one CUDA graph.",
    "tensorrt-dynamic": "A TensorRT engine for a range of batch sizes.",
    "trtexec": "NVIDIA's command for TensorRT engines.",
    "torch-tensorrt": "TensorRT from within PyTorch (Dynamo).",
    "ultralytics-engine": "The TensorRT engine that Ultralytics' own export makes.",
}
METRICS = {
    "mAP50-95": "How well boxes and classes are found: the mean over classes of the average precision, and over the "
    "overlaps from 50 to 95 % that a box must have with the true one.",
    "mAP50": "The same where an overlap of 50 % is enough.",
    "zero-shot agreement": "The share of images that the engine answers as the baseline does, right or wrong.",
    "zero-shot top-1": "The share of images whose first answer is right.",
    "classification agreement": "The share of images that the engine gives the class that the baseline gives them.",
    "classification top-1": "The share of images whose most probable class is right.",
}
TERMS = {
    "gate": "The least share of the baseline's accuracy that passes. A ratio is gated where it decides that.",
    "Q/DQ": "Quantise and dequantise: the nodes of an INT8 graph that hold the scales found by calibration.",
    "tactic timings": "What TensorRT measured of its kernels in earlier builds; with them a build is quicker.",
    "device time": "The work on the card, by CUDA events; end-to-end is by the host's clock, copies included.",
    "launches": "What the host takes to launch a call's work. Where that is longer than the device time, the card "
    "waits for its host; a CUDA graph launches all at once.",
    "95 % interval": "Where the true figure lies in 95 of 100 such runs. It does not hold what differs between runs.",
}


def words(cases: Sequence[CaseSummary]) -> list[tuple[str, str]]:
    """(word, meaning) of each backend and metric of these cases, then of the terms."""
    backends = dict.fromkeys(case.backend for case in cases if case.attempted)
    metrics = dict.fromkeys(metric.name for case in cases for metric in case.metrics)
    entries = [(f"{backend_name(name)} ({name})", BACKENDS[name]) for name in backends if name in BACKENDS]
    entries += [(name, METRICS[name]) for name in metrics if name in METRICS]
    # These are spoken of only where a case has them.
    absent = {
        "Q/DQ": not any(case.precision == "int8" for case in cases),
        "tactic timings": not any(case.build.known_timings_bytes for case in cases),
        "device time": not any(case.speed.quantity == "device time" for case in cases),
        "launches": not any(case.launch for case in cases),
    }
    return [*entries, *((term, meaning) for term, meaning in TERMS.items() if not absent.get(term))]
