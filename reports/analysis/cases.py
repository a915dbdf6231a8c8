"""Rows in, one typed summary a case out: the figures that table, verdict, picture and page all share."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from reports.analysis.consistency import engine_problems, reading_problems
from reports.record.ratio import speed_ratio
from reports.record.results import (
    AccuracyResult,
    BuildResult,
    Latency,
    Metric,
    Ratio,
    Result,
    SpeedResult,
    read_result,
    read_seconds,
)
from reports.record.schema import BASELINE_BACKEND, BASELINE_PRECISION, DEFAULT_TOLERANCE, Row, reaches
from reports.record.session import read_settings
from reports.record.store import last_session
from reports.text.names import case_name, engine_name, short_engine_name

Kind = TypeVar("Kind", bound=Result)


@dataclass(frozen=True)
class StageRecord:
    """What the record says of one stage of a case: how it ended, why, in how many seconds, and what it found.

    `dropped` names the values that could not be read, each with the reason.
    """

    stage: str
    outcome: str
    reason: str | None
    seconds: float | None
    result: Result
    dropped: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: Row) -> "StageRecord":
        """The stage of a row of kind "case"."""
        result, dropped = read_result(row["question"], row["values"])
        reason = row.get("reason")
        return cls(
            stage=row["question"],
            outcome=row["outcome"],
            reason=str(reason) if reason else None,
            seconds=read_seconds(row),
            result=result,
            dropped=dropped,
        )


Answers = Mapping[str, StageRecord]


@dataclass(frozen=True)
class CaseSummary:
    """Everything that one session knows about one case."""

    id: str
    model: str
    task: str
    backend: str
    precision: str
    batch: int
    streams: int  # callers that ask at the same time
    answers: Answers
    latency: Latency | None
    launch: Latency | None  # the host's launches of a call on a card, where they were told apart
    speedup: Ratio | None
    gate: str  # "pass", "fail", "not judged" or "–"
    status: str  # "passed", "failed", "error", "skipped"
    problems: tuple[str, ...]
    memory_limit_bytes: float = 0.0  # 0: none was given

    @property
    def name(self) -> str:
        """What its engine is called: `ONNX Runtime INT8`; with several callers `TensorRT FP16, 2 streams`."""
        return engine_name(self.backend, self.precision, self.streams)

    @property
    def engine(self) -> str:
        """The same without its callers: `TensorRT FP16`."""
        return engine_name(self.backend, self.precision)

    @property
    def short_name(self) -> str:
        """The same where there is little room: `TensorRT FP16 · graph ×2`."""
        return short_engine_name(self.backend, self.precision, self.streams)

    @property
    def title(self) -> str:
        """What it is called where a person reads of it: `YOLOv8n · ONNX Runtime INT8 · batch 8`."""
        return case_name(self.model, self.name, str(self.batch))

    @property
    def memory_bytes(self) -> float | None:
        """The most GPU memory that the engine used while it was timed; None on a CPU and where nothing watched."""
        return self.speed.gpu.memory_peak_bytes if self.speed.gpu else None

    @property
    def over_memory_limit(self) -> bool:
        """Whether it uses more GPU memory than the session's limit allows; unknown use is over any limit."""
        return bool(self.memory_limit_bytes) and (self.memory_bytes or math.inf) > self.memory_limit_bytes

    @property
    def ranked(self) -> bool:
        """Whether it is timed and ranked among those of its batch.

        Of batch 1 only what one caller gets is: it tells how long one image takes, and several callers share a device.
        """
        return self.latency is not None and (self.batch > 1 or self.streams == 1)

    @property
    def saturating(self) -> bool:
        """Whether it is there for throughput: batches or several callers that are to keep the device busy all the time.

        One caller with one image at a time is there for its latency.
        """
        return self.batch > 1 or self.streams > 1

    @property
    def launch_bound(self) -> bool:
        """Whether the host takes longer to launch a call than the card to compute it."""
        return bool(self.launch and self.latency and self.launch.p50_ms > self.latency.p50_ms)

    @property
    def effective_latency(self) -> Latency | None:
        """The time of one batch after the other for one caller: the slower of launches and `latency`.

        What is compared and recommended: a card that waits for its host computes no faster for being quick.
        """
        return self.launch if self.launch_bound else self.latency

    @property
    def is_baseline(self) -> bool:
        return (self.backend, self.precision, self.streams) == (BASELINE_BACKEND, BASELINE_PRECISION, 1)

    @property
    def failed_stages(self) -> tuple[str, ...]:
        """The questions other than accuracy that failed: the engine, or its reading, is not what it should be."""
        return tuple(name for name, answer in self.answers.items() if answer.outcome == "failed" and name != "accuracy")

    @property
    def consistent(self) -> bool:
        """Whether the case measured what its name says."""
        return not self.problems and not self.failed_stages

    @property
    def gate_label(self) -> str:
        """The gate's word: accuracy's, but "fail" for a refuted engine, and "error" where a question crashed."""
        return (
            "fail" if self.failed_stages else "error" if self.status == "error" and self.gate != "fail" else self.gate
        )

    @property
    def attempted(self) -> bool:
        """Whether anything was tried. A case that was only refused by the matrix did not run."""
        return any(answer.outcome != "skipped" for answer in self.answers.values())

    @property
    def metric(self) -> Metric | None:
        """The gated metric with the worst ratio, of equal ones the least certain; without a gated one, of all."""
        candidates = [metric for metric in self.metrics if metric.gated] or self.metrics
        return min(candidates, key=_worst, default=None)

    def uncertain(self, least: float) -> Metric | None:
        """Of the gated metrics that pass the one whose interval reaches furthest below `least`, if one does."""
        if self.gate != "pass" or self.is_baseline:  # the baseline keeps what it has, by definition
            return None
        low = {metric.ratio.low: metric for metric in self.metrics if metric.gated and metric.ratio}
        below = [each for each in low if each is not None and not reaches(each, least)]
        return low[min(below)] if below else None

    def result(self, kind: type[Kind]) -> Kind:
        """What the stage of this type of result found; one in which nothing is recorded where it has not run."""
        answer = self.answers.get(kind.STAGE)
        stage_result = answer.result if answer else None
        return stage_result if isinstance(stage_result, kind) else kind()

    @property
    def build(self) -> BuildResult:
        return self.result(BuildResult)

    @property
    def speed(self) -> SpeedResult:
        return self.result(SpeedResult)

    @property
    def accuracy(self) -> AccuracyResult:
        return self.result(AccuracyResult)

    @property
    def images_per_second(self) -> float | None:
        return self.speed.images_per_second

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.accuracy.metrics

    @property
    def engine_sha256(self) -> str | None:
        """The hash of the engine that was timed, else of the one that was built or scored."""
        return self.speed.engine_sha256 or self.build.engine_sha256 or self.accuracy.engine_sha256

    def reason(self, stage: str) -> str:
        """Why a stage ended as it did."""
        answer = self.answers.get(stage)
        return (answer and answer.reason) or "no reason was recorded"

    def reasons(self) -> Iterator[tuple[str, str, str]]:
        """(stage, outcome, reason) of each stage that is not plain `passed`."""
        for stage, answer in self.answers.items():
            if answer.outcome != "passed" or answer.reason:
                yield stage, answer.outcome, self.reason(stage)


def _worst(metric: Metric) -> tuple[float, float]:
    if metric.ratio is None:
        return math.inf, math.inf
    return metric.ratio.value, metric.ratio.value if metric.ratio.low is None else metric.ratio.low


def tolerance(rows: Sequence[Row]) -> float:
    """The gate of this session: 0.02 asks for at least 98 % of the baseline."""
    return next((read_settings(row).tolerance for row in rows if row["kind"] == "session"), DEFAULT_TOLERANCE)


def summarize(rows: Sequence[Row]) -> list[CaseSummary]:
    """The cases of the last session in these rows, ordered by model and batch, then as they were run."""
    rows = last_session(list(rows))
    answers: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["kind"] == "case":
            # Popped first, so that a row that replaces an earlier one also takes its later place.
            answers.setdefault(row["case"]["id"], {}).pop(row["question"], None)
            answers[row["case"]["id"]][row["question"]] = row
    least = 1 - tolerance(rows)
    limit = next((read_settings(row).memory_limit_bytes for row in rows if row["kind"] == "session"), 0.0)
    cases = [replace(_summary(case_answers, least), memory_limit_bytes=limit) for case_answers in answers.values()]
    models = list(dict.fromkeys(case.model for case in cases))
    cases.sort(key=lambda case: (models.index(case.model), case.batch))
    baselines: dict[tuple[str, int], CaseSummary | None] = {}
    for case in cases:
        if (place := (case.model, case.batch)) not in baselines:
            baselines[place] = reference_case(case, cases, BASELINE_BACKEND)
    return [_with_speedup(case, baselines[case.model, case.batch]) for case in cases]


def _summary(rows: Mapping[str, Row], least: float) -> CaseSummary:
    case = next(iter(rows.values()))["case"]
    answers = {stage: StageRecord.of(row) for stage, row in rows.items()}
    summary = CaseSummary(
        id=str(case["id"]),
        model=str(case["model"]),
        task=str(case["task"]),
        backend=str(case["backend"]),
        precision=str(case["precision"]),
        batch=int(case["batch"]),
        streams=int(case.get("streams", 1)),
        answers=answers,
        latency=None,
        launch=None,
        speedup=None,
        gate="–",
        status="skipped",
        problems=(),
    )
    gate, problems = _gate(answers.get("accuracy"), summary.accuracy, least)
    return replace(
        summary,
        latency=summary.speed.latency,
        launch=summary.speed.launch_latency,
        gate=gate,
        status=_status(answers, gate),
        problems=(*problems, *engine_problems(answers), *reading_problems(answers.get("speed"), summary.speed)),
    )


def _gate(answer: StageRecord | None, accuracy: AccuracyResult, least: float) -> tuple[str, tuple[str, ...]]:
    """The gate in a word, and what is wrong with how it was recorded.

    A report must not show a pass beside a ratio that fails: the recorded outcome is checked against it.
    """
    if answer is None or answer.outcome == "error":
        return "–", ()
    if answer.outcome == "failed":
        return "fail", ()
    if answer.outcome == "skipped" or not accuracy.judged:
        return "not judged", ()
    gated = [metric for metric in accuracy.metrics if metric.gated]
    if not gated:
        return "not judged", ("recorded as judged, but no gated metric was recorded",)
    for metric in gated:
        if metric.ratio is None or not reaches(metric.ratio.value, least):
            shown = "unknown" if metric.ratio is None else f"{metric.ratio.value:.4f}"
            return "fail", (f"recorded as passed, but the ratio of {metric.name} is {shown}",)
    return "pass", ()


def _status(answers: Answers, gate: str) -> str:
    outcomes = {answer.outcome for answer in answers.values()}
    if "error" in outcomes:
        return "error"
    if "failed" in outcomes or gate == "fail":
        return "failed"
    return "passed" if "passed" in outcomes else "skipped"


def _with_speedup(case: CaseSummary, baseline: CaseSummary | None) -> CaseSummary:
    if case.effective_latency is None or baseline is None or baseline.effective_latency is None:
        return case
    if case.is_baseline:
        return replace(case, speedup=Ratio(1.0, 1.0, 1.0))  # by definition, not by measurement
    speedup = speed_ratio(case.effective_latency, baseline.effective_latency)
    if speedup is None:
        clocks = (case.effective_latency.instrument, baseline.effective_latency.instrument)
        mixed = f"timed by {clocks[0]}, the baseline by {clocks[1]}: no speed-up"
        return replace(case, problems=(*case.problems, mixed))
    return replace(case, speedup=speedup)


def reference_case(case: CaseSummary, cases: Sequence[CaseSummary], backend: str) -> CaseSummary | None:
    """The FP32 case of the same model and batch in this backend, asked by one caller, if it was timed and is what its
    name says."""
    for other in cases:
        same = (other.model, other.batch, other.streams) == (case.model, case.batch, 1)
        if same and (other.backend, other.precision) == (backend, BASELINE_PRECISION) and other.latency:
            return other if other.consistent else None
    return None
