"""What of the contracts no syntax tree shows: the packages and versions, what a value is, what a `**` holds."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from fixtures.backends.base import EngineOptions
from fixtures.backends.compatibility import RELEASES, numbers
from fixtures.backends.pytorch.torch_tensorrt import FIRST_DEBUGGER, compile_settings, typing_settings
from fixtures.backends.trt.builder import Typing, typing_of
from fixtures.plan.matrix import PRECISIONS
from tests.experiments.contracts.uses import Receiver


@dataclass(frozen=True)
class Package:
    """A package that is imported as `imported`, and lies in the wheels of `distribution` in the folder `root`.

    `versions` are the oldest that the project takes, the newest known here, and those between at which it changed.
    """

    imported: str
    distribution: str
    root: str
    versions: tuple[str, ...]


PACKAGES = (
    Package("torch_tensorrt", "torch-tensorrt", "torch_tensorrt", tuple(each.torch_tensorrt for each in RELEASES)),
    # Python sources are few in them and stubs none: for the most part the names in the compiled library.
    Package("tensorrt", "tensorrt-bindings", "tensorrt_bindings", ("8.6.1",)),
    Package(
        "tensorrt",
        "tensorrt-cu12-bindings",
        "tensorrt_bindings",
        ("10.3.0", "10.12.0.36", "10.16.1.11", "11.1.0.106", "11.4.0.106"),
    ),
    Package("ultralytics", "ultralytics", "ultralytics", ("8.4.80", "8.4.134", "8.4.190")),
    Package("transformers", "transformers", "transformers", ("4.45.0", "4.57.6", "5.0.0", "5.24.0")),
    Package("onnxruntime", "onnxruntime", "onnxruntime", ("1.23.2", "1.27.0", "1.32.0")),
    Package("modelopt", "nvidia-modelopt", "modelopt", ("0.27.0", "0.37.0", "0.47.0")),
)

TRT = "fixtures/backends/trt"
CLIP, SIGLIP = "transformers.CLIPModel", "transformers.SiglipModel"
DETECT = "ultralytics.nn.modules.head.Detect"

RECEIVERS = (
    Receiver(f"{TRT}/builder.py", "config", "tensorrt.IBuilderConfig"),
    Receiver(f"{TRT}/builder.py", "network", "tensorrt.INetworkDefinition"),
    Receiver(f"{TRT}/builder.py", "network_input", "tensorrt.ITensor"),
    Receiver(f"{TRT}/builder.py", "profile", "tensorrt.IOptimizationProfile"),
    Receiver(f"{TRT}/builder.py", "flag", "tensorrt.NetworkDefinitionCreationFlag"),
    Receiver(f"{TRT}/fp32_constraints.py", "trt", "tensorrt"),
    Receiver(f"{TRT}/fp32_constraints.py", "config", "tensorrt.IBuilderConfig"),
    Receiver(f"{TRT}/fp32_constraints.py", "network", "tensorrt.INetworkDefinition"),
    Receiver(f"{TRT}/fp32_constraints.py", "layer", "tensorrt.ILayer"),
    Receiver(f"{TRT}/fp32_constraints.py", "tensor", "tensorrt.ITensor"),
    Receiver(f"{TRT}/inspector.py", "deserialize(content, path)", "tensorrt.ICudaEngine"),
    Receiver(f"{TRT}/inspector.py", "inspector", "tensorrt.EngineInspector"),
    Receiver(f"{TRT}/runtime.py", "self._engine", "tensorrt.ICudaEngine"),
    Receiver(f"{TRT}/runtime.py", "self._context", "tensorrt.IExecutionContext"),
    Receiver(f"{TRT}/timing_cache.py", "config", "tensorrt.IBuilderConfig"),
    Receiver(f"{TRT}/timing_cache.py", "cache", "tensorrt.ITimingCache"),
    Receiver(f"{TRT}/ultralytics.py", "config", "tensorrt.IBuilderConfig"),
    Receiver("fixtures/backends/onnxrt/cuda.py", "self._binding", "onnxruntime.IOBinding"),
    Receiver("fixtures/backends/onnxrt/cuda.py", "self._binding.get_outputs()[0]", "onnxruntime.OrtValue"),
    Receiver(
        "fixtures/backends/pytorch/torch_tensorrt.py", "child", "torch_tensorrt.dynamo.runtime.TorchTensorRTModule"
    ),
    Receiver("fixtures/models/yolo.py", "module", "ultralytics.nn.modules.block.C2f"),
    Receiver("fixtures/models/yolo.py", "network.model[-1]", DETECT),
    Receiver("fixtures/models/yolo.py", "self._letterbox", "ultralytics.data.augment.LetterBox"),
    Receiver("fixtures/models/rtdetr.py", "network.model[-1]", "ultralytics.nn.modules.head.RTDETRDecoder"),
    Receiver("fixtures/models/detector.py", "head", DETECT),
    Receiver("fixtures/models/detector.py", "network.model[-1]", DETECT),
    Receiver("fixtures/models/clip.py", "family.network", CLIP),
    Receiver("fixtures/models/clip.py", "self._processor", "transformers.CLIPImageProcessor"),
    Receiver("fixtures/models/openai_clip.py", "clip", CLIP),
    Receiver("fixtures/models/siglip.py", "siglip", SIGLIP),
)

# Asked for by `hasattr`, and yet without it the backend is lost.
NEEDED = ("torch_tensorrt.dynamo.runtime.TorchTensorRTModule.get_layer_info",)

# Keywords that a function takes as they are and checks against a file of its package when it runs.
DECLARED = {"ultralytics.YOLO.export": "ultralytics/cfg/default.yaml"}


def held_by_stars(path: str, version: str) -> list[tuple[str, ...]] | None:
    """The keywords in the `**` of a call, in each way it is made with `version`; None where nobody has told."""
    if path == "torch_tensorrt.dynamo.compile":
        release = numbers(version)[:2]
        settings = compile_settings(release, EngineOptions())
        return [(*typing_settings(release, precision), *settings) for precision in PRECISIONS]
    if path == "ultralytics.YOLO.export":
        return [(), ("data",)]
    return None


def _by_flags(version: str) -> bool:
    return typing_of(version) is Typing.FLAGS


def _with_debugger(version: str) -> bool:
    return numbers(version)[:2] >= FIRST_DEBUGGER


# What the code asks for with some versions alone, by the same functions that decide it there.
ONLY: dict[str, Callable[[str], bool]] = {
    "tensorrt.BuilderFlag.FP16": _by_flags,
    "tensorrt.BuilderFlag.INT8": _by_flags,
    "tensorrt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS": _by_flags,
    "tensorrt.ILayer.precision": _by_flags,
    "tensorrt.ILayer.set_output_type": _by_flags,
    "torch_tensorrt.dynamo.Debugger": _with_debugger,
}


def asked_with(path: str, version: str) -> bool:
    """Whether the code uses this name at all with that version of its package."""
    return path not in ONLY or ONLY[path](version)


def unknown_names(paths: Collection[str]) -> list[str]:
    """The entries of this table that name what no code uses any more."""
    return sorted({*ONLY, *NEEDED, *DECLARED} - set(paths))
