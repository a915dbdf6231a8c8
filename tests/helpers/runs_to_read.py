"""Runs as a reader of the report meets them: a rehearsal on a CPU, and one on a GPU in which much broke."""

from pathlib import Path

import pandas as pd

from reports.history.store import append, load
from reports.record.schema import Row
from tests.helpers.rows import accuracy, build, card_speed, case, end_row, night, row, session_row, speed

MODELS = {"yolov8n": 60.0, "clip-image": 25.0, "clip-text": 12.0}
# (backend, precision): how many times as fast as the baseline on a CPU, and the share of the accuracy that it keeps.
ON_CPU = {
    ("pytorch", "fp32"): (1.0, 1.0),
    ("pytorch", "fp16"): (0.3, 1.001),
    ("torch-compile", "fp32"): (1.6, 1.0),
    ("torch-compile", "fp16"): (0.35, 1.001),
    ("onnxruntime", "fp32"): (1.9, 1.0),
    ("onnxruntime", "fp16"): (1.2, 1.0),
    ("onnxruntime", "int8"): (2.7, 0.991),
}
NEEDS_GPU = ("tensorrt", "tensorrt-cuda-graph", "trtexec", "onnxruntime-cuda", "onnxruntime-tensorrt", "torch-tensorrt")
NIGHTS = 20


def rehearsal() -> list[Row]:
    """The main job on a CPU: three models, batch 1 and 8, every second timing rough, all that needs a GPU left out."""
    rows = [session_row()]
    rows[0]["environment"]["cpu"] = "Intel(R) Xeon(R) Platinum 8581C CPU @ 2.60GHz"
    for model, p50 in MODELS.items():
        for batch in (1, 8):
            for place, ((backend, precision), (faster, kept)) in enumerate(ON_CPU.items()):
                each = case(backend, precision, model=model, batch=batch)
                took = p50 / faster * (0.8 * batch if batch > 1 else 1)
                rows += [
                    build(
                        each,
                        layers={"fp32": 64} if (backend, precision) == ("onnxruntime", "fp16") else {precision: 64},
                    ),
                    speed(each, took, spread=0.04 if place % 2 else 0.005),
                    accuracy(each, kept, spread=0.012 if model == "yolov8n" else 0.025),
                ]
            for backend in NEEDS_GPU:
                for precision in ("fp32", "fp16", "int8"):
                    idle = case(backend, precision, model=model, batch=batch)
                    rows.append(row(idle, "matrix", outcome="skipped", reason="no NVIDIA GPU on this machine"))
    return [*rows, end_row()]


def _one_batch(model: str, batch: int, took: float, slow: float, last: bool) -> list[Row]:
    """Four engines of one model and batch, of which the baseline takes `took` ms; what is to break does in the last."""
    base, fast, int8, lost = (
        case(backend, precision, model=model, batch=batch)
        for backend, precision in (
            ("pytorch", "fp32"), ("tensorrt", "fp16"), ("tensorrt", "int8"), ("torch-compile", "fp16"),
        )
    )  # fmt: skip
    kept = 0.93 if last and model == "yolov8n" else 0.99
    slower = slow if model == "yolov8n" and batch == 8 else 1.0
    told = [
        *(build(base), card_speed(base, took), accuracy(base, 1.0)),
        *(build(fast), card_speed(fast, took / 4 * slower), accuracy(fast, 0.999)),
        *(build(int8), card_speed(int8, took / 5, steady=not last or batch == 1), accuracy(int8, kept)),
    ]
    if last and model == "clip-image":
        return [*told, row(lost, "build", outcome="error", reason="CppCompileError: no compiler\nomp.h: No such file")]
    return [*told, build(lost), card_speed(lost, took / 2), accuracy(lost, 1.0)]


def troubled(folder: Path) -> tuple[list[Row], pd.DataFrame]:
    """The last of some sessions on a GPU and their history, kept in `folder`.

    One engine fails its gate, one crashed that used to run, one became slower, and the timings of others are rough.
    """
    rows: list[Row] = []
    for number in range(NIGHTS):
        last = number == NIGHTS - 1
        slow = 1.25 if number >= NIGHTS - 4 else 1.0
        told: list[Row] = []
        for model, p50 in MODELS.items():
            for batch in (1, 8):
                told += _one_batch(model, batch, p50 / 10 * (1 + 0.1 * batch), slow, last)
        rows = night(number, *told)
        append(folder, rows)
    ended = {**end_row(6), "session": rows[0]["session"], "at": rows[0]["at"]}
    return [*rows, ended], load(folder)
