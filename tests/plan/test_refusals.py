"""What is refused is said once; what it does not concern goes on."""

import pytest

from fixtures.errors import BenchError
from fixtures.plan.matrix import ModelSpec
from fixtures.plan.refusals import refusals

YOLO, CLIP, TEXT = (
    ModelSpec("v8", "detection"),
    ModelSpec("clip-image", "zero-shot"),
    ModelSpec("clip-text", "zero-shot"),
)
FAULT = {"error": "x.pt holds no plain detector: its task is pose", "hint": "give another"}


def test_one_model_that_is_refused_does_not_cost_the_other():
    assert refusals({"yolo": FAULT, "clip": {"name": "vit"}}, [YOLO, CLIP, TEXT]) == [
        "x.pt holds no plain detector: its task is pose; hint: give another"
    ]


def test_where_nothing_is_left_the_run_ends_in_the_sentence():
    described = {"yolo": FAULT, "clip": {"absent": "no case asks for it"}}
    for models in ([YOLO], [YOLO, ModelSpec("clip-image", "zero-shot", "no CLIP weights")]):
        with pytest.raises(BenchError, match=r"^x.pt holds no plain detector: its task is pose\n  hint: give another$"):
            refusals(described, models)


def test_one_fault_of_the_data_is_one_sentence():
    fault = {"error": "a.json is not JSON", "hint": "give COCO"}
    with pytest.raises(BenchError) as error:
        refusals({"detection data": fault, "zero-shot data": fault}, [YOLO, CLIP])
    assert str(error.value) == "a.json is not JSON\n  hint: give COCO"


def test_nothing_wrong_is_nothing_said():
    assert refusals({"yolo": {"name": "v8"}, "detection data": {"name": "coco"}}, [YOLO]) == []
