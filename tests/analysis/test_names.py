"""One name for each model, engine and case, wherever a person reads of it."""

import pytest

from reports.analysis.cases import summarize
from reports.analysis.phrases import describe_cases
from reports.charts.bars import LONGEST_NAME
from reports.text.formatting import plain_reason
from reports.text.names import (
    ENGINES,
    backend_name,
    case_name,
    either,
    engine_name,
    model_name,
    short_engine_name,
    short_name_words,
    uses,
)
from tests.helpers.rows import answered, case, end_row, session_row


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("yolov8n", "YOLOv8n"), ("yolo11n-seg", "YOLO11n-seg"), ("yolov8n-coco", "YOLOv8n-coco"),
        ("clip-image", "CLIP image"), ("siglip-text", "SigLIP text"), ("best", "best"), ("my-yolo", "my-yolo"),
    ],
)  # fmt: skip
def test_a_model_of_a_known_family_is_spelled_as_its_makers_do(model: str, name: str) -> None:
    assert model_name(model) == name


def test_an_engine_has_its_makers_name_and_an_unknown_one_its_own() -> None:
    assert engine_name("tensorrt-cuda-graph", "int8") == "TensorRT INT8 + CUDA graph"
    assert backend_name("tensorrt-cuda-graph") == "TensorRT + CUDA graph"
    assert engine_name("openvino", "{}") == "openvino {}" and backend_name("openvino") == "openvino"
    assert (
        case_name("clip-image", engine_name("onnxruntime", "fp16"), "1") == "CLIP image · ONNX Runtime FP16 · batch 1"
    )


def test_several_callers_are_told_at_the_end_and_in_short_as_a_factor() -> None:
    assert engine_name("torch-compile-cuda-graph", "fp16", 2) == "torch.compile FP16 + CUDA graph, 2 streams"
    assert short_engine_name("torch-compile-cuda-graph", "fp16", 2) == "torch.compile FP16 · graph ×2"
    assert short_engine_name("openvino", "{}") == "openvino {}"


@pytest.mark.parametrize("backend", ENGINES)
def test_the_short_name_of_every_engine_fits_beside_its_bar(backend: str) -> None:
    assert len(short_engine_name(backend, "fp16", 2)) <= LONGEST_NAME


def test_what_short_names_abbreviate_is_said_once_and_only_where_it_occurs() -> None:
    names = [short_engine_name("tensorrt-cuda-graph", "int8", 2), short_engine_name("pytorch-cuda-graph", "fp16", 4)]
    assert [sign for sign, _ in short_name_words(names)] == ["graph", "×2", "×4"]
    assert short_name_words(names)[1] == ("×2", "2 streams (callers at the same time)")
    assert short_name_words(["PyTorch FP32", "a-graph FP16"]) == []


def test_a_text_tower_has_no_photos() -> None:
    assert uses("yolov8n") == uses("clip-image") == ("Photo library", "One photo")
    assert uses("clip-text") == ("Many texts", "One text")


def test_batches_of_one_engine_are_told_together_and_engines_apart() -> None:
    asked = [case("tensorrt", "int8", batch=1), case("tensorrt", "int8"), case("onnxruntime", "fp32")]
    cases = summarize([session_row(), *(row for each in asked for row in answered(each, 9.0)), end_row()])
    by_id = {each.id: each for each in cases}
    description = describe_cases([by_id[each["id"]] for each in asked])
    assert description == "YOLOv8n · TensorRT INT8 · batch 1 and 8; YOLOv8n · ONNX Runtime FP32 · batch 8"
    assert describe_cases([by_id[each["id"]] for each in asked], most=1).endswith("batch 1 and 8; and 1 more")
    assert by_id[asked[0]["id"]].title == "YOLOv8n · TensorRT INT8 · batch 1"


@pytest.mark.parametrize(
    ("reason", "plain"),
    [
        ("RuntimeError: out of memory.\n  at line 7", "out of memory (RuntimeError)"),
        ("torch.cuda.OutOfMemoryError: no room", "no room (torch.cuda.OutOfMemoryError)"),
        ("killed by signal 9", "killed by signal 9"),
        ("http://host:8000: no whole answer", "http://host:8000: no whole answer"),
    ],
)
def test_a_reason_says_first_what_happened(reason: str, plain: str) -> None:
    assert plain_reason(reason) == plain


@pytest.mark.parametrize(
    ("engines", "expected"),
    [
        (["ONNX Runtime FP16", "ONNX Runtime FP32"], "ONNX Runtime FP16 or FP32"),
        (["TensorRT FP16 + CUDA graph", "TensorRT INT8 + CUDA graph"], "TensorRT FP16 or INT8 + CUDA graph"),
        (["PyTorch FP16", "PyTorch FP16 + CUDA graph"], "PyTorch FP16 or PyTorch FP16 + CUDA graph"),
        (["TensorRT FP16", "trtexec FP16"], "TensorRT FP16 or trtexec FP16"),
        (["TensorRT FP16"], "TensorRT FP16"),
    ],
)
def test_engines_that_differ_in_their_precision_alone_are_named_once(engines: list[str], expected: str):
    assert " or ".join(either(engines)) == expected
