"""What did not run, in few words: by reason, and within a reason by backend."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary
from reports.text.formatting import join_words
from reports.text.names import backend_name, model_name

# A cell without its backend, and what its parts are called where all of them are meant.
Cell = tuple[str, str, int]
AXES = ("models", "precisions", "batches")


@dataclass(frozen=True)
class NotRun:
    """Questions that have one reason for having no answer. `question` is empty where a whole case did not run.

    `where` names the cells in few words; `cases` has their ids.
    """

    outcome: str
    question: str
    reason: str
    cases: tuple[str, ...]
    where: str


def unanswered(cases: Sequence[CaseSummary]) -> list[NotRun]:
    """The skipped and the crashed questions of these cases, crashes first, one entry a reason."""
    groups: dict[tuple[str, str, str], list[CaseSummary]] = {}
    for case in cases:
        stages: dict[tuple[str, str], list[str]] = {}
        for question, outcome, reason in case.reasons():
            if outcome in ("skipped", "error"):
                stages.setdefault((outcome, reason), []).append(question)
        for (outcome, reason), questions in stages.items():
            groups.setdefault((outcome, join_words(each for each in questions if each != "matrix"), reason), []).append(
                case
            )
    return [
        NotRun(outcome, question, reason, tuple(case.id for case in group_cases), described(group_cases, cases))
        for (outcome, question, reason), group_cases in sorted(groups.items(), key=lambda group: group[0][0])
    ]


def described(cases: Sequence[CaseSummary], everything: Sequence[CaseSummary]) -> str:
    """Some of the cases of a matrix: `TensorRT, trtexec (INT8, all batches and models)`. A lone one by its name."""
    if len(cases) == 1:
        return cases[0].title
    axes = _axes([_cell(case) for case in everything])
    backends: dict[str, list[Cell]] = {}
    for case in cases:
        backends.setdefault(case.backend, []).append(_cell(case))
    together: dict[str, list[str]] = {}
    for backend, cells in backends.items():
        scope = "; ".join(filter(None, (_scope(block, axes) for block in _blocks(list(dict.fromkeys(cells))))))
        together.setdefault(scope, []).append(backend)
    all_backends = dict.fromkeys(case.backend for case in everything)
    return "; ".join(
        ("all backends" if len(names) == len(all_backends) > 1 else ", ".join(map(backend_name, names)))
        + (f" ({scope})" if scope else "")
        for scope, names in together.items()
    )


def _cell(case: CaseSummary) -> Cell:
    return case.model, case.precision, case.batch


def _axes(cells: Sequence[Cell]) -> list[list[str | int]]:
    return [list(dict.fromkeys(values)) for values in zip(*cells, strict=True)]


def _blocks(cells: Sequence[Cell]) -> list[list[list[str | int]]]:
    """The cells as blocks, each every combination of its models, precisions and batches."""
    axes = _axes(cells)
    if math.prod(map(len, axes)) == len(cells):
        return [axes]
    split = next(axis for axis, values in enumerate(axes) if len(values) > 1)
    parts = ([cell for cell in cells if cell[split] == value] for value in axes[split])
    return [block for part in parts for block in _blocks(part)]


def _scope(block: Sequence[Sequence[str | int]], everything: Sequence[Sequence[str | int]]) -> str:
    """`INT8, all batches and models`; an axis on which the matrix has one value only needs no word."""
    words: list[str] = []
    whole: list[str] = []
    for axis, values, all_values in zip(AXES, block, everything, strict=True):
        if len(values) == len(all_values):
            whole += [axis] if len(all_values) > 1 else []
        elif axis == "precisions":
            words.append(join_words(str(value).upper() for value in values))
        elif axis == "batches":
            words.append(f"batch {join_words(values)}")
        else:
            words.append(join_words(model_name(str(value)) for value in values))
    # Models last: they are what a reader asks about least where all of them are meant.
    whole.sort(key=("precisions", "batches", "models").index)
    return ", ".join([*words, *([f"all {join_words(whole)}"] if whole else [])])
