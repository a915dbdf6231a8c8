"""What engines are called where a person reads them first; tables and commands keep the backend's own name."""

from reports.analysis.cases import CaseSummary

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


def engine_name(case: CaseSummary) -> str:
    """`TensorRT INT8 with a CUDA graph`; a backend without a name here by its own: `openvino FP16`."""
    known = ENGINES.get(case.backend)
    # Not by str.format: a precision is text from a record and might hold braces itself.
    return known.replace("{}", case.precision.upper()) if known else case.name
