"""A backend in one file: what docs/architecture.md tells a contributor to write. It runs the module itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fixtures.backends.base import ALL_TASKS, Engine, EngineInfo, EngineOptions, Job


class Toy:
    """The module in FP32, its weights in a file of PyTorch's own."""

    name = "toy"
    engine_name = "toy"
    tasks = ALL_TASKS
    needs_onnx = False
    dynamic_batch = True
    file_name = "toy.pt"
    one_stream_reason = "it has one module and keeps it simple"

    def unsupported_reason(self, precision: str, device: str) -> str:
        return "" if precision == "fp32" and device == "cpu" else "the toy computes in FP32 on the CPU"

    def cache_key(self, options: EngineOptions) -> Mapping[str, Any]:
        return {"torch": torch.__version__}

    def build(self, job: Job, path: Path) -> EngineInfo:
        module = job.module()
        torch.save(module.state_dict(), path)
        weighted = [each for each in module.modules() if isinstance(each, torch.nn.Conv2d | torch.nn.Linear)]
        return EngineInfo({"fp32": len(weighted)})

    def load(self, job: Job, path: Path) -> Engine:
        module = job.module()
        module.load_state_dict(torch.load(path, weights_only=True))
        return _Network(module.eval())


class _Network:
    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            output: torch.Tensor = self._module(inputs).float()
        return output

    def synchronize(self) -> None:
        pass
