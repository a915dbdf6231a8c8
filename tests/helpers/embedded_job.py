"""One whole run of the embedded suite for all tests that look at one: as users start it, and watched for the network.

It begins with an empty engine cache and an own home, in a process of its own; every Python process of it says on its
standard error what other host it names, and where strace is installed, that has seen its native code.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from fixtures import ROOT
from tests.helpers.runs import COMMAND

MODELS = ("yolov8n", "clip-image", "clip-text")
# Of each model: the engines that run here, and how many cells do not (PyTorch has no INT8, TensorRT needs a GPU).
ENGINES = ("pytorch-fp32", "onnxruntime-fp32", "onnxruntime-int8")
NOT_RUN = 3
# Deselected: these two take as long as all others together.
SLOWEST = "yolov8n-onnxruntime"
RAN = tuple(case for model in MODELS for engine in ENGINES if SLOWEST not in (case := f"{model}-{engine}-b1"))
OPTIONS = (
    *("--suite", "embedded", "--device", "cpu", "--backends", "pytorch,onnxruntime,tensorrt"),
    *("--precisions", "fp32,int8", "--batches", "1", "--measure-seconds", "0.2"),
    *("-k", f"not {SLOWEST}"),
)
# Audit events of CPython for everything that names another host (docs: library/audit_events).
WATCH = """
import sys
HOSTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")
def watch(event, args):
    if event in HOSTS and not (event == "socket.connect" and isinstance(args[1], (str, bytes))):
        sys.stderr.write(f"NETWORK {event} {args[1:]!r}\\n")
sys.addaudithook(watch)
"""


@dataclass(frozen=True)
class EmbeddedJob:
    """The folder of a run: `output/` with its record and reports, `engines/`, `junit.xml`, `benchmark.json`, `trace`
    (of strace, where that is installed); and what it wrote.
    """

    folder: str
    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> Path:
        return Path(self.folder) / "output"

    @property
    def engines(self) -> Path:
        return Path(self.folder) / "engines"


def watched_environment(folder: Path) -> Mapping[str, str]:
    """A fresh user: own home, and a sitecustomize that watches every Python process of the run."""
    (folder / "sitecustomize.py").write_text(WATCH)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "YOLO_", "ORT_"))}
    return clean | {"HOME": str(folder), "PYTHONPATH": str(folder)}


def embedded_job(folder: Path) -> EmbeddedJob:
    """The run in `folder`, made by whoever asks first, also of several processes."""
    made = folder / "job.json"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not made.exists():
            made.write_text(json.dumps(asdict(_run(folder))))
    return EmbeddedJob(**json.loads(made.read_text()))


def _run(folder: Path) -> EmbeddedJob:
    # With a filter in the kernel, as every other system call would stop as well and take several times as long.
    seen = ("-e", "trace=connect,sendto,sendmmsg")
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", *seen, "-o", str(folder / "trace")]
    command = [
        *(strace if shutil.which("strace") else []),
        *(sys.executable, "-m", "pytest", *COMMAND, *OPTIONS, "-s"),
        *("--engine-cache", str(folder / "engines"), "--output", str(folder / "output")),
        *("--junitxml", str(folder / "junit.xml"), "--benchmark-json", str(folder / "benchmark.json")),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=watched_environment(folder), capture_output=True, text=True, timeout=280, check=False
    )
    return EmbeddedJob(str(folder), done.returncode, done.stdout, done.stderr)
