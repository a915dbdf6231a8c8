import pytest

from fixtures.errors import BenchError
from fixtures.plan.matrix import Case, ModelSpec, plan, select

MODELS = [ModelSpec("yolov8n", "detection"), ModelSpec("clip-image", "zero-shot", reason="no CLIP weights")]


def _everything_runs(*_: str) -> str:
    return ""


def _plan(unsupported_reason=_everything_runs):
    return plan(MODELS, ("onnxruntime", "pytorch"), ("int8", "fp32"), (1, 8), unsupported_reason)


def test_a_case_is_named_by_all_that_tells_it_apart():
    assert Case("yolov8n", "detection", "onnxruntime", "int8", 8).id == "yolov8n-onnxruntime-int8-b8"


def test_every_combination_is_there_once():
    cells = _plan()
    assert len(cells) == len({cell.case.id for cell in cells}) == 2 * 2 * 2 * 2


def test_a_cell_that_cannot_run_stays_and_says_why():
    cells = _plan(lambda backend, precision, _: "no INT8" if (backend, precision) == ("pytorch", "int8") else "")
    reasons = {cell.case.id: cell.reason for cell in cells}
    assert reasons["yolov8n-pytorch-int8-b1"] == "no INT8"
    assert reasons["yolov8n-pytorch-fp32-b1"] == ""
    assert reasons["clip-image-pytorch-fp32-b1"] == "no CLIP weights"


def test_the_baseline_of_a_model_comes_before_its_other_cells():
    cases = [cell.case for cell in _plan()]
    assert [case.is_baseline for case in cases if case.model == "yolov8n"][:3] == [True, True, False]
    assert [case.model for case in cases] == ["yolov8n"] * 8 + ["clip-image"] * 8


def test_backends_are_asked_once_a_precision_and_task():
    asked = []
    _plan(lambda *cell: asked.append(cell) or "")
    assert len(asked) == len(set(asked)) == 2 * 2 * 2


def test_a_backend_for_one_task_alone_says_so_for_the_other():
    cells = _plan(lambda backend, _, task: "detection alone" if (backend, task) == ("onnxruntime", "zero-shot") else "")
    assert not [cell for cell in cells if cell.reason == "detection alone" and cell.case.task == "detection"]


def test_nothing_asked_for_selects_all_and_order_is_kept():
    assert select((), ("a", "b"), "--backends") == ("a", "b")
    assert select(("b", "a"), ("a", "b"), "--backends") == ("a", "b")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(BenchError, match=r"(?s)--backends: unknown 'tensorflow'.*pytorch, onnxruntime"):
        select(("tensorflow",), ("pytorch", "onnxruntime"), "--backends")
