"""The TensorRT engines of a session: those that a promise about TensorRT is held against, and what speaks for each."""

from collections.abc import Iterable, Sequence

from reports.analysis.cases import CaseSummary, reference_case
from reports.analysis.timing_quality import gpu_contended, unreliable
from reports.description.suite_description import GENERATED, generated
from reports.findings.base import Session
from reports.record.results import BuildResult, Ratio
from reports.record.schema import BASELINE_BACKEND
from reports.text.formatting import first_line, join_words, times, times_interval
from reports.text.names import BASELINE, backend_name

# Who builds engines with TensorRT, beside the backends named `tensorrt…` themselves.
OTHERS = ("trtexec", "ultralytics-engine", "onnxruntime-tensorrt", "torch-tensorrt")


def engines(seen: Session, model: str = "", precision: str = "") -> list[CaseSummary]:
    """The cases of TensorRT and of those who build with it; an empty name is any."""
    return [
        case
        for case in seen.cases
        if (case.backend.startswith("tensorrt") or case.backend in OTHERS)
        and (not model or case.model == model)
        and (not precision or case.precision == precision)
    ]


def built(seen: Session) -> list[CaseSummary]:
    """One case for each engine that was built: several batches, or one with a CUDA graph, may share a file."""
    by_engine: dict[str, CaseSummary] = {}
    for case in engines(seen):
        if case.build != BuildResult() and "build" not in case.failed_stages:
            by_engine.setdefault(case.build.engine_sha256 or case.id, case)
    return list(by_engine.values())


def largest_batch(cases: Iterable[CaseSummary]) -> list[CaseSummary]:
    """Those of the largest batch among them."""
    every = list(cases)
    most = max((case.batch for case in every), default=0)
    return [case for case in every if case.batch == most]


def passes(case: CaseSummary) -> bool:
    """Whether its accuracy passed, and nothing else is wrong with it."""
    return case.gate == "pass" and case.status == "passed" and not case.problems


def speedup(case: CaseSummary) -> float:
    """Its speed-up over the baseline; 0 where none is known."""
    return case.speedup.value if case.speedup else 0.0


def fastest(cases: Iterable[CaseSummary]) -> CaseSummary | None:
    """The fastest of those that pass."""
    return max(filter(passes, cases), key=speedup, default=None)


def kept(case: CaseSummary) -> Ratio | None:
    """The share of the baseline's accuracy that it keeps."""
    return case.metric.ratio if case.metric else None


def doubts(seen: Session, case: CaseSummary) -> list[str]:
    """Sentences on what disturbed its timing, or the baseline's."""
    pair = [each for each in (case, reference_case(case, seen.cases, BASELINE_BACKEND)) if each]
    sentences = []
    if any(unreliable(each) for each in pair):
        sentences.append("Its timing or the baseline's was not steady: take it as rough.")
    if any(gpu_contended(each) for each in pair):
        sentences.append("The card was throttled or not its own meanwhile, or while the baseline was timed.")
    return sentences


def judged_on(seen: Session, cases: Iterable[CaseSummary]) -> list[str]:
    """A sentence where the accuracy without which no speed counts was judged on images that this project drew."""
    suite = seen.rows[0]["suite"]
    return [f"Accuracy was judged on {GENERATED}."] if any(generated(suite, case.task) for case in cases) else []


def engine_words(case: CaseSummary) -> str:
    """`YOLOv8n · TensorRT FP16 · batch 8`."""
    return case.title


def speed_words(case: CaseSummary) -> str:
    """The engine with its speed-up, as a sentence."""
    return f"{engine_words(case)}: {beside(times(speedup(case)), times_interval(case.speedup))}."


def beside(figure: str, interval: str) -> str:
    """A figure with its interval, if it has one: `3.92× (3.88–3.96)`."""
    return f"{figure} ({interval})" if interval else figure


def unsupported_reason(cases: Sequence[CaseSummary]) -> str:
    """Why none of these gave the figure that was looked for, as a sentence."""
    if not cases:
        return "No TensorRT engine of it was asked for."
    ran = [case for case in cases if case.attempted]
    if not ran:
        return "Its TensorRT engines did not run; each stands with its reason among the cases that did not."
    return f"{join_words(dict.fromkeys(f'{backend_name(case.backend)}: {_reason(case)}' for case in ran), most=2)}."


def _reason(case: CaseSummary) -> str:
    reasons = [*case.problems, *(first_line(reason, 160) for _, _, reason in case.reasons())]
    if case.latency and not case.speedup:
        reasons.append(f"{BASELINE} was not timed beside it")
    reasons.append("its accuracy was not judged" if case.latency else "it was not timed")
    return reasons[0].rstrip(".")
