"""Which case of a run is shipped: the recommended one, or the best that can be, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.analysis.answer import LATENCY, LATENCY_BATCH, THROUGHPUT, ModeAnswer, model_answers
from reports.analysis.cases import CaseSummary
from reports.analysis.phrases import gate_sentence
from reports.analysis.recommendation import TIE, choose, comparable, may_ship, over_memory_words
from reports.description.suite_description import TAO_TASKS
from reports.errors import ReportError
from reports.text.formatting import significant

_IN_PYTORCH = (
    "it is a checkpoint and its package's code in PyTorch; a bundle holds neither, as a checkpoint is a pickle"
)
_COMPILED = "what torch.compile makes belongs to the process and the machine that compiled it"
# Backends whose engine is a file that runs without this project and without PyTorch's code, and for the others why not.
SHIPPED = (
    *("onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "ultralytics-engine"),
    *("tensorrt", "tensorrt-cuda-graph", "tensorrt-dynamic", "trtexec"),
)
WHY_NOT: Mapping[str, str] = {
    **dict.fromkeys(("pytorch", "pytorch-cuda-graph"), _IN_PYTORCH),
    **dict.fromkeys(("torch-compile", "torch-compile-cuda-graph", "torch-compile-max-autotune"), _COMPILED),
    "torch-tensorrt": "its file is a program of PyTorch, and loading one runs more than an engine",
}


@dataclass(frozen=True)
class Choice:
    """The case to ship, and a sentence on why it is that one."""

    case: CaseSummary
    advice: str


def choose_case(cases: Sequence[CaseSummary], case_id: str, least: float) -> Choice:
    """The case of that name. Raises `ReportError` where it cannot be shipped."""
    chosen = next((case for case in cases if case.id == case_id), None)
    if chosen is None:
        named = ", ".join(case.id for case in cases if case.backend in SHIPPED and may_ship(case))
        raise ReportError(
            f"--case {case_id}: the record has no such case", hint=f"what can be shipped: {named or 'none'}"
        )
    if reason := why_not(chosen, least):
        raise ReportError(
            f"{case_id} is not shipped: {reason}", hint="name another case, or --model for the best that is"
        )
    return Choice(chosen, f"Chosen by name: {_figures(chosen, least)}.")


def choose_model(cases: Sequence[CaseSummary], model: str, mode: str, least: float) -> Choice:
    """The case that is recommended for `model` in `mode`, or the fastest that passes and can be shipped.

    Raises `ReportError` where none can.
    """
    answer = next((each for each in model_answers(cases, choose(cases, least), least) if each.model == model), None)
    if answer is None:
        models = ", ".join(dict.fromkeys(case.model for case in cases if case.latency)) or "none"
        raise ReportError(f"--model {model}: the record has no speed of it", hint=f"models of this record: {models}")
    mode_answer = answer.throughput if mode == THROUGHPUT else answer.latency
    if mode_answer is None:
        raise ReportError(
            f"the run timed no batch of {LATENCY_BATCH} of {model}",
            hint=f"run it with --batches {LATENCY_BATCH} among them, or ship it --for {THROUGHPUT}",
        )
    able = [case for case in cases if case.model == model and not why_not(case, least)]
    if mode == LATENCY:
        able = [case for case in able if case.batch == LATENCY_BATCH and case.streams == 1]
    recommended = [case for case in mode_answer.ship if case in able]
    if recommended:
        return Choice(recommended[0], f"Recommended for {mode}: {_figures(recommended[0], least)}.")
    reason = _unshipped(mode_answer, least)
    if not able:
        raise ReportError(
            f"nothing of {model} can be shipped for {mode}: {reason}",
            hint="run the benchmark with --backends onnxruntime (on a GPU tensorrt-cuda-graph) among them",
        )
    best = _fastest(able)
    return Choice(best, f"The fastest for {mode} that can be shipped: {_figures(best, least)}. {reason}.")


def why_not(case: CaseSummary, least: float) -> str:
    """Why a case is not shipped; empty where it can be."""
    if case.backend not in SHIPPED:
        return WHY_NOT.get(case.backend, f"{case.backend} is no backend whose engine is a file of its own")
    if case.task in TAO_TASKS:
        return "a bundle says how YOLO's and CLIP's outputs are read, and has no words for those of a TAO network"
    if case.gate != "pass":
        failed = f"it fails its gate, it {gate_sentence(case, least)}"
        return failed if case.gate == "fail" else "its accuracy was not judged"
    if case.latency is None:
        return "its speed was not measured"
    if may_ship(case):
        return ""
    return next(
        iter(case.problems), f"it {over_memory_words(case)}" if case.over_memory_limit else f"it ended as {case.status}"
    )


def _fastest(cases: Sequence[CaseSummary]) -> CaseSummary:
    """The one of most images a second; of those that lie as close as two runs may, one of the smallest batch."""
    ranked = sorted(comparable(cases), key=lambda case: -(case.images_per_second or 0.0))
    most = ranked[0].images_per_second or 0.0
    near = [case for case in ranked if (case.images_per_second or 0.0) * TIE >= most]
    return min(near, key=lambda case: case.batch)


def _unshipped(answer: ModeAnswer, least: float) -> str:
    """What became of what is recommended."""
    if not answer.ship:
        return "Nothing is recommended: " + answer.choice.text.rstrip(".")
    reasons = (f"{case.name} is recommended, and is not shipped: {why_not(case, least)}" for case in answer.ship)
    return "; ".join(reasons)


def _figures(case: CaseSummary, least: float) -> str:
    speed = f"{significant(case.images_per_second)} img/s at batch {case.batch}"
    return f"{case.name}, {speed}; it {gate_sentence(case, least)}"
