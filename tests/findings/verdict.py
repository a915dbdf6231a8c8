"""A run in which every check finds something, and its findings as lines: what the golden file is made of.

`python -m tests.findings.verdict` writes the file again after a wording was changed on purpose.
"""

from pathlib import Path
from typing import Any

import numpy as np

from reports.compare.runs import compare, findings_of
from reports.findings.base import Finding
from reports.findings.data import LABELS_UNUSED
from reports.findings.history import history_findings
from reports.findings.run import find
from reports.history.session_regressions import Regression
from reports.record.pipeline import PipelineSpeed, StageTime
from reports.record.schema import Row
from tests.helpers.pipelines import pipeline_row
from tests.helpers.rows import accuracy, answered, build, card_speed, case, end_row, launch, row, session_row
from tests.helpers.serving import judged, serving_row, speed

GOLDEN = Path(__file__).parent / "golden.txt"
BASELINE = case("pytorch", "fp32")
COUNT = 600
NOTICES = [
    {"code": "boxes-outside", "text": "boxes outside, left out", "count": 5, "examples": ["a"], "changes_score": True},
    {"code": "encoding", "text": "a mark was taken away", "count": 1, "examples": ["b"], "changes_score": False},
]


def on_gpu(of: dict[str, Any], p50: float, ratio: float = 1.0, **changed: Any) -> list[Row]:
    """Build, speed and accuracy of a case on a GPU."""
    return [build(of), card_speed(of, p50, **changed), accuracy(of, ratio)]


def shorter(of: dict[str, Any]) -> list[Row]:
    rows = on_gpu(of, 2.0)
    rows[1]["values"]["end_to_end"]["latency_ms"]["p50"] = 1.9
    return rows


def troubled() -> list[Row]:
    """A run on a GPU with every trouble that a run may have while it comes to its end."""
    drift = (2.0 * (1 + 0.2 * np.arange(COUNT) / COUNT)).tolist()
    damaged = on_gpu(case("damaged", "fp16"), 2.0)
    damaged[0]["values"]["size_bytes"] = "big"
    return [
        session_row(gpu="NVIDIA H200", notices=NOTICES),
        *on_gpu(BASELINE, 4.0),
        *on_gpu(case("drifts", "fp16"), 2.0, samples_ms=drift),
        *on_gpu(case("unsteady", "fp16"), 2.0, steady=False),
        *shorter(case("shorter", "fp16")),
        *on_gpu(case("launches", "fp16"), 2.0, launch=launch(3.0)),
        *on_gpu(case("throttled", "fp16"), 2.0, state={"throttled": True, "reasons": {"HwThermalSlowdown": 0.9}}),
        *on_gpu(case("limited", "fp16"), 2.0, state={"throttled": True, "reasons": {"SwPowerCap": 0.9}}),
        *on_gpu(case("repeated", "fp16"), 2.0, throttled_retries=1),
        *on_gpu(case("shared", "fp16"), 2.0, state={"foreign": "1 process beside ours computed on the card: 7"}),
        *on_gpu(case("slower", "fp16"), 8.0),
        *on_gpu(case("no-gain", "fp16"), 4.0),
        *on_gpu(case("uncertain", "int8"), 2.0, 0.983),
        *on_gpu(case("fails", "int8"), 2.0, 0.93),
        *on_gpu(case("undecided", "int8"), 2.0, 0.975),
        build(case("fp32-inside", "fp16"), layers={"fp32": 64}),
        row(case("refused", "fp16"), "build", outcome="failed", reason="asked for FP16, and it computes in FP32"),
        row(case("crashes", "fp16"), "speed", outcome="error", reason="RuntimeError: out of memory\n  at line 7"),
        *(build(case("another", "int8")), card_speed(case("another", "int8"), 2.0)),
        accuracy(case("another", "int8"), 0.99, engine="other"),
        accuracy(
            case("untrained", "fp16"),
            1.0,
            judged=False,
            metrics=[],
            reason="untrained",
        ),
        *damaged,
        accuracy(case("labels", "fp16"), 1.0, details={LABELS_UNUSED: "the baseline is right in 0 of 9"}),
        accuracy(
            case("blind", "fp16"),
            1.0,
            outcome="failed",
            reason="the baseline finds nothing",
            implausible_baseline="the baseline's mAP50-95 is 0.0110",
        ),
        card_speed(case("alone", "fp32", model="clip-image"), 2.0),
        row(case("absent", "fp16"), "matrix", outcome="skipped", reason="no GPU: nvidia-smi says so"),
        {"kind": "torn", "line": 8, "bytes": 12},
        end_row(1),
    ]


def served() -> list[Row]:
    """A run of served models alone, of which each went another way."""
    return [
        session_row(),
        serving_row("triton-good", speed()),
        serving_row("triton-good", judged(1.0)),
        serving_row("triton-fails", judged(0.9), "failed", "mAP50-95 is 0.9000 of the baseline"),
        serving_row("triton-crashes", None, "error", "http://host:8000: no whole answer: the connection was refused"),
        serving_row("nv-clip", None, "skipped", "NVIDIA's hosted NV-CLIP asks for a key"),
        end_row(1),
    ]


def pipelines() -> list[Row]:
    """A run of pipelines alone, of which each went another way."""
    stages = (StageTime(name="decode", wall_ms=10.0, cpu_ms=10.0),)
    known = {"stages": stages, "whole_ms": 10.0, "overlap": "serial", "batch": 8}
    steady = PipelineSpeed(photos_per_second=100.0, low=99.0, high=101.0, steady=True, **known)
    rough = PipelineSpeed(photos_per_second=90.0, low=80.0, high=101.0, steady=False, **known)
    return [
        session_row(gpu="NVIDIA H200"),
        pipeline_row("base", speed=steady, baseline=True),
        pipeline_row("unsteady", speed=rough, decoder="opencv"),
        pipeline_row("uncertain", accuracy="passed", low=0.9, decoder="simplejpeg"),
        pipeline_row("fails", accuracy="failed", preprocessor="fast"),
        pipeline_row("crashes", error="RuntimeError: out of memory\n  at line 7", detector="tensorrt-fp16"),
        pipeline_row("absent", decoder="nvimagecodec"),
        end_row(1),
    ]


def ended(status: int | None, *rows: Row) -> list[Row]:
    """A run that ended with this exit status; None: it did not end."""
    return [session_row(), *rows, *([] if status is None else [end_row(status)])]


def on_pytorch_2_5_1() -> Row:
    """The session of a run on a CPU with the PyTorch whose torch.compile computes boxes wrongly."""
    session = session_row()
    session["environment"] |= {"packages": {"torch": "2.5.1+cpu"}, "device": "cpu"}
    return session


def runs() -> dict[str, list[Finding]]:
    """The findings of runs that together have every finding there is."""
    good = answered(BASELINE, 80.0)
    calm = [session_row(gpu="NVIDIA H200"), *on_gpu(BASELINE, 4.0), end_row()]
    worse = Regression("regression", BASELINE["id"], "device time", "device time is 5.0 % longer")
    idle = row(case("absent", "fp16"), "matrix", outcome="skipped", reason="no GPU")
    before, after = compared()
    compiled, fails = answered(case("torch-compile", "fp32"), 60.0), [accuracy(case("torch-compile", "fp32"), 0.82)]
    return {
        "everything that may be found": find(troubled()),
        "nothing": find(calm),
        "a known fault of a package": find([on_pytorch_2_5_1(), *compiled[:2], *fails, end_row(1)]),
        "pipelines alone": find(pipelines()),
        "served models alone": find(served()),
        "nothing judged": find(ended(0, good[0], good[1])),
        "nothing measured": find(ended(0)),
        "unfinished": find(ended(None, *good)),
        "interrupted": find(ended(2, *good)),
        "an internal error": find(ended(3, *good)),
        "nothing can run": find(ended(5, idle)),
        "slower than its history": find(ended(7, *good), history_findings([worse])),
        "a status that nothing explains": find(ended(1, *good)),
        "two runs": findings_of(compare(before, after)),
        "two runs of different cases": findings_of(compare(ended(0, *good), other_session(ended(0, idle)))),
    }


def other_session(rows: list[Row]) -> list[Row]:
    return [{**each, "session": "later"} for each in rows]


def compared() -> tuple[list[Row], list[Row]]:
    """Two runs in which everything that may become of a case became of one."""
    names = (
        "faster",
        "slower",
        "same",
        "unclear",
        "fails",
        "mended",
        "crashes",
        "lost",
        "unasked",
        "unjudged",
        "worse",
    )
    cases = {name: case(name, "fp16") for name in names}
    before = {name: answered(each, 50.0, 0.93 if name == "mended" else 1.0) for name, each in cases.items()}
    later = {"faster": 25.0, "slower": 100.0, "unclear": 51.0}
    after = {
        name: answered(each, later.get(name, 50.0), {"fails": 0.93, "worse": 0.985}.get(name, 1.0))
        for name, each in cases.items()
    }
    after["crashes"] = [row(cases["crashes"], "build", outcome="error", reason="killed")]
    after["lost"] = [row(cases["lost"], "matrix", outcome="skipped", reason="not here")]
    after["unjudged"] = after["unjudged"][:2]
    del after["unasked"]
    first, second = (ended(0, *(one for rows in side.values() for one in rows)) for side in (before, after))
    return first, other_session(second)


def lines() -> str:
    """Each run with its findings: code, level, the number of cases, the figures, and the words."""
    text = []
    for name, found in runs().items():
        text.append(f"# {name}")
        for each in found:
            figures = ", ".join(f"{key}={_figure(value)}" for key, value in each.data.items())
            text += [f"{each.code} {each.level} {len(each.cases)} [{figures}]", f"    {each.text}"]
        text.append("")
    return "\n".join(text)


def _figure(value: str | float | None) -> str:
    return f"{value:.4g}" if type(value) is float else str(value)


if __name__ == "__main__":
    GOLDEN.write_text(lines(), encoding="utf-8")
