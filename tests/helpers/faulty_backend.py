"""A backend that goes wrong when told to, put into the catalogue of every process of a run from outside.

`SITE` runs at the start of each Python of that run (Python's own `sitecustomize`), so that the suite has no door
for it. What the backend does stands in the environment: CHAOS="speed kill" and the like.
"""

import ctypes
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fixtures import ROOT
from fixtures.backends.base import ALL_TASKS, Engine, EngineInfo, EngineOptions, Job

SITE = """
import sys
sys.path.insert(0, {root!r})
import fixtures.backends.registry as catalogue
for name in {names!r}:
    catalogue.CATALOGUE[name] = "tests.helpers.faulty_backend:" + {kind!r}
order = [name for name in catalogue.CATALOGUE if name not in {names!r}]
order[1:1] = {names!r}
catalogue.NAMES = tuple(order)
"""


def environment(folder: Path, chaos: str = "", names: tuple[str, ...] = ("chaos",)) -> dict[str, str]:
    """The environment of a run that knows these backends: "chaos" itself, or any number of trivial ones."""
    kind = "Chaos" if names == ("chaos",) else "Trivial"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE.format(root=str(ROOT), names=list(names), kind=kind))
    return {**os.environ, "PYTHONPATH": str(folder), "CHAOS": chaos}


def misbehave(now: str) -> None:
    """Do what CHAOS asks for at this point of a case: "build" or "speed" (a call of the engine)."""
    when, _, how = os.environ.get("CHAOS", "").partition(" ")
    if when != now:
        return
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "abort":
        os.abort()
    elif how == "crash":
        ctypes.string_at(0)
    elif how == "exit":
        os._exit(3)
    elif how == "hang":
        while True:
            time.sleep(1)
    elif how == "spin":
        while True:
            pass
    elif how == "memory":
        held = [os.urandom(1 << 20) * 100 for _ in range(200)]  # 20 GB, every page of it written
        print(len(held))
    elif how == "raise":
        raise ZeroDivisionError("chaos")


class Chaos:
    """PyTorch in FP32, until it is told otherwise."""

    name = "chaos"
    engine_name = "chaos"
    tasks = ALL_TASKS
    needs_onnx = False
    dynamic_batch = True
    file_name = "nothing.txt"
    one_stream_reason = ""

    def unsupported_reason(self, precision: str, device: str) -> str:
        return "" if precision == "fp32" else "chaos has one precision"

    def cache_key(self, options: EngineOptions) -> Mapping[str, Any]:
        return {}

    def build(self, job: Job, path: Path) -> EngineInfo:
        print("chaos: building", flush=True)
        misbehave("build")
        path.write_text("nothing")
        return EngineInfo({"fp32": 1})

    def load(self, job: Job, path: Path) -> Engine:
        return _Network(job.module())


class Trivial(Chaos):
    """An engine that does nothing to speak of: what a run of many such cases costs is the suite's own time."""

    def load(self, job: Job, path: Path) -> Engine:
        return _Constant(job.module(), job.example)


class _Network:
    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._calls = 0

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        self._calls += 1
        if self._calls > 5:
            misbehave("speed")
        with torch.inference_mode():
            return self._module(inputs)

    def synchronize(self) -> None:
        pass


class _Constant:
    def __init__(self, module: torch.nn.Module, example: torch.Tensor) -> None:
        with torch.inference_mode():
            self._one = module(example[:1])

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._one.expand(len(inputs), *self._one.shape[1:])

    def synchronize(self) -> None:
        pass
