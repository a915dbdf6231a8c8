import itertools

from reports.analysis.cases import summarize
from reports.description.not_run import described, unanswered
from reports.github.job_summary import job_summary
from reports.html.page import render
from reports.record.schema import Row
from tests.helpers.rows import answered, build, case, end_row, row, session_row

INT8 = case("onnxruntime", "int8")


def _without_a_card() -> list[Row]:
    """A matrix of two models, two batches and three precisions in which eleven backends lack a card."""
    rows = [session_row()]
    for model, batch, precision in itertools.product(("yolov8n", "clip"), (1, 8), ("fp32", "fp16", "int8")):
        rows += answered(case("onnxruntime", precision, model=model, batch=batch), 40.0)
        for number in range(11):
            cell = case(f"card-{number}", precision, model=model, batch=batch)
            rows.append(row(cell, "matrix", outcome="skipped", reason="needs an NVIDIA card"))
        if precision == "int8":
            rows.append(
                row(case("pytorch", precision, model=model, batch=batch), "matrix", outcome="skipped", reason="no")
            )
    return [*rows, end_row()]


def test_many_cells_that_did_not_run_are_two_short_lines() -> None:
    groups = unanswered(summarize(_without_a_card()))
    names = ", ".join(f"card-{number}" for number in range(11))
    assert [(len(group.cases), group.where) for group in groups] == [
        (132, f"{names} (all precisions, batches and models)"),
        (4, "PyTorch (INT8, all batches and models)"),
    ]
    html = render(_without_a_card()).split('<section aria-labelledby="unanswered">')[1].split("</section>")[0]
    assert html.count("<details") == 2
    assert "<code>clip-card-10-int8-b8</code>" in html  # folded up, but there
    page = job_summary(_without_a_card()).split("### What did not run")[1]
    assert f"- needs an NVIDIA card – 132 cases: {names} (all precisions, batches and models)" in page
    assert page.count("\n- ") == 2


def test_cells_are_named_by_their_blocks() -> None:
    two_backends = [each for each in summarize(_without_a_card()) if each.backend in ("card-1", "card-2")]
    cases = {(each.model, each.backend, each.precision, each.batch): each for each in two_backends}

    def where(*chosen: tuple[str, str, str, int]) -> str:
        return described([cases[key] for key in chosen], two_backends)

    one, two = "card-1", "card-2"
    assert where(("clip", one, "fp16", 8)) == "CLIP · card-1 FP16 · batch 8"
    assert where(("clip", one, "fp16", 8), ("clip", two, "fp16", 8)) == "all backends (CLIP, FP16, batch 8)"
    assert where(("clip", one, "fp16", 1), ("clip", one, "fp16", 8)) == "card-1 (CLIP, FP16, all batches)"
    corner = (
        ("clip", one, "fp16", 8),
        ("yolov8n", one, "fp16", 1),
        ("clip", two, "int8", 1),
        ("yolov8n", two, "int8", 1),
    )
    assert where(*corner) == "card-1 (CLIP, FP16, batch 8; YOLOv8n, FP16, batch 1); card-2 (INT8, batch 1, all models)"


def test_questions_that_stopped_for_one_reason_are_told_once() -> None:
    crashed = [row(INT8, question, outcome="error", reason="out of memory") for question in ("speed", "accuracy")]
    (group,) = unanswered(summarize([session_row(), build(INT8), *crashed]))
    assert (group.outcome, group.question, group.where) == (
        "error",
        "speed and accuracy",
        "YOLOv8n · ONNX Runtime INT8 · batch 8",
    )


def test_an_axis_with_one_value_needs_no_word() -> None:
    skipped = [row(case(name, "int8"), "matrix", outcome="skipped", reason="no card") for name in ("a", "b")]
    (group,) = unanswered(summarize([session_row(), *skipped, *answered(INT8, 4.0)]))
    assert group.where == "a, b"
