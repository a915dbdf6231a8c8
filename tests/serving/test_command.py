"""`python -m fixtures.serving`: a model repository for a Triton of the user's own."""

from pathlib import Path

import onnx
import pytest

from fixtures.serving.command import main


def test_the_models_of_the_suite_become_a_repository(
    tmp_path: Path, engine_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "repository"

    common = ("--suite", "embedded", "--device", "cpu", "--engine-cache", str(engine_cache))
    assert main([str(folder), *common, "--max-batch", "4"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        f"{folder}/yolov8n: onnxruntime_onnx, fp32",
        f"{folder}/clip-image: onnxruntime_onnx, fp32",
    ]
    for name, given, taken in (("yolov8n", "images", "output0"), ("clip-image", "pixel_values", "image_embeds")):
        graph = onnx.load(folder / name / "1/model.onnx").graph
        assert (graph.input[0].name, graph.output[0].name) == (given, taken)
        shape = [each.dim_value for each in graph.input[0].type.tensor_type.shape.dim[1:]]
        config = (folder / name / "config.pbtxt").read_text(encoding="utf-8")
        assert f'input [ {{ name: "{given}" data_type: TYPE_FP32 dims: {shape} }} ]' in config
        assert f'output [ {{ name: "{taken}"' in config and "max_batch_size: 4" in config and "KIND_AUTO" in config


def test_a_plan_without_a_gpu_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--suite", "embedded", "--device", "cpu", "--platform", "tensorrt"]) == 2

    assert "no TensorRT plan of yolov8n in fp32: needs an NVIDIA card" in capsys.readouterr().err


def test_a_model_without_weights_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = tmp_path / "photos"
    empty.mkdir()

    assert main([str(tmp_path / "out"), "--coco-images", str(empty)]) == 2

    assert "images and annotations belong together" in capsys.readouterr().err
