"""A finding of the verdict, and what the checks that find them look at."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from reports.analysis.cases import CaseSummary, summarize, tolerance
from reports.analysis.phrases import describe_cases
from reports.record.pipeline import PipelineSummary, read_pipelines
from reports.record.schema import Row
from reports.record.serving import ServingSummary, read_serving
from reports.record.store import last_session

# In the order of reading: what broke, or the one line that nothing did; then what to take with care.
LEVELS = ("fail", "ok", "warn", "info")
LEVEL_WORDS = {"fail": "Failed", "warn": "Warning", "ok": "OK", "info": "Note"}


class Code(StrEnum):
    """What a finding is of, the same in every version: wording may change, a code does not.

    The part before the dot says what it is about: the run, a stage, the record, the gate, accuracy, an engine, its
    precision, a timing, the GPU, the baseline, the data, the matrix, the history, or the comparison of two runs.
    """

    RUN_UNFINISHED = "run.unfinished"
    RUN_INTERRUPTED = "run.interrupted"
    RUN_INTERNAL_ERROR = "run.internal_error"
    RUN_UNEXPLAINED = "run.unexplained_exit_status"
    RUN_SLOWER = "run.history_failed"
    RUN_NOTHING_MEASURED = "run.nothing_measured"
    RUN_NOTHING_FAILED = "run.nothing_failed"
    STAGE_ERROR = "stage.error"
    STAGE_FAILED = "stage.failed"
    RECORD_TORN = "record.torn_line"
    RECORD_DAMAGED = "record.damaged_values"
    RECORD_INCONSISTENT = "record.inconsistent"
    GATE_FAILED = "gate.failed"
    ACCURACY_UNCERTAIN = "accuracy.uncertain"
    ACCURACY_NOT_JUDGED = "accuracy.not_judged"
    ACCURACY_LABELS_UNUSED = "accuracy.labels_unused"
    ENGINE_KNOWN_FAULT = "engine.known_fault"
    PRECISION_NOT_AS_ASKED = "precision.not_as_asked"
    PRECISION_SLOWER = "precision.slower"
    PRECISION_NO_CLEAR_GAIN = "precision.no_clear_gain"
    TIMING_UNSTEADY = "timing.unsteady"
    TIMING_MOVED = "timing.moved"
    TIMING_SHORTER_WITH_COPIES = "timing.shorter_with_copies"
    TIMING_LAUNCH_BOUND = "timing.launch_bound"
    GPU_THROTTLED = "gpu.throttled"
    GPU_THROTTLED_AT_FIRST = "gpu.throttled_at_first"
    GPU_AT_POWER_LIMIT = "gpu.at_power_limit"
    GPU_SHARED = "gpu.shared"
    GPU_UNDISTURBED = "gpu.undisturbed"
    BASELINE_MISSING = "baseline.missing"
    BASELINE_IMPLAUSIBLE = "baseline.implausible"
    DATA_CHANGES_SCORE = "data.changes_score"
    DATA_READ_OTHERWISE = "data.read_otherwise"
    MATRIX_NOTHING_RUNS = "matrix.nothing_runs"
    MATRIX_NOT_RUN = "matrix.not_run"
    PIPELINE_ERROR = "pipeline.error"
    PIPELINE_FAILED = "pipeline.failed"
    PIPELINE_UNSTEADY = "pipeline.unsteady"
    PIPELINE_UNCERTAIN = "pipeline.accuracy_uncertain"
    PIPELINE_NOT_JUDGED = "pipeline.not_judged"
    PIPELINE_NOT_RUN = "pipeline.not_run"
    SERVING_ERROR = "serving.error"
    SERVING_FAILED = "serving.failed"
    SERVING_NOT_RUN = "serving.not_run"
    HISTORY = "history.worse"
    COMPARE_NOTHING = "compare.nothing_in_common"
    COMPARE_GATE_FAILED = "compare.gate_failed"
    COMPARE_GATE_PASSED = "compare.gate_passed"
    COMPARE_ERROR = "compare.error"
    COMPARE_CANNOT_RUN = "compare.cannot_run"
    COMPARE_SLOWER = "compare.slower"
    COMPARE_LESS_ACCURATE = "compare.less_accurate"
    COMPARE_NOT_JUDGED = "compare.not_judged"
    COMPARE_UNCLEAR = "compare.unclear"
    COMPARE_FASTER = "compare.faster"
    COMPARE_SAME = "compare.same"
    COMPARE_NOT_TIMED = "compare.not_timed"
    COMPARE_NOT_ASKED = "compare.not_asked"


Data = Mapping[str, str | float | None]


@dataclass(frozen=True)
class Finding:
    """One finding of the verdict: what it is (`code`), how grave, of which cases, with which figures, and in words.

    `level` is "fail", "warn", "ok" or "info". `where` names the cases in words where the sentence is about them alone;
    `cases` has their ids, and `data` the figures of the sentence (of the first case, where several share it). `place`
    is the section of the page that tells more.
    """

    code: Code
    level: str
    sentence: str
    where: str = ""
    cases: tuple[str, ...] = ()
    data: Data = field(default_factory=dict)
    place: str = ""

    @property
    def text(self) -> str:
        """All of it as a sentence."""
        return f"{self.where}: {self.sentence}" if self.where else self.sentence

    def to_dict(self) -> dict[str, Any]:
        """As report.json keeps it."""
        return {**asdict(self), "text": self.text}


@dataclass(frozen=True)
class Session:
    """What the checks look at: the rows of one session, its cases, pipelines and served models, and the least ratio
    that passes."""

    rows: Sequence[Row]
    cases: Sequence[CaseSummary]
    least: float
    pipelines: Sequence[PipelineSummary] = ()
    serving: Sequence[ServingSummary] = ()

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Session":
        """The last session in `rows`, summarized once for all that look at it."""
        session = last_session(list(rows))
        least = 1 - tolerance(session)
        return cls(session, summarize(session), least, read_pipelines(session), read_serving(session))


def ids(cases: Iterable[CaseSummary]) -> tuple[str, ...]:
    """The ids of these cases."""
    return tuple(case.id for case in cases)


def together(code: Code, level: str, remarks: Iterable[tuple[CaseSummary, str, Data]]) -> Iterator[Finding]:
    """One finding for all cases about which the same is said: (case, sentence, figures)."""
    groups: dict[str, list[tuple[CaseSummary, Data]]] = {}
    for case, sentence, data in remarks:
        groups.setdefault(sentence, []).append((case, data))
    for sentence, entries in groups.items():
        cases = [case for case, _ in entries]
        yield Finding(code, level, sentence, describe_cases(cases), ids(cases), entries[0][1])
