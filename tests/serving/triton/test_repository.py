"""A model repository: what Triton reads. Those of the Python backend are run in `test_client`."""

import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from fixtures import ROOT
from fixtures.errors import BenchError
from fixtures.serving.triton import installation
from fixtures.serving.triton.installation import find_python, suite_paths, unsupported_reason
from fixtures.serving.triton.repository import ServedModel, config_text, write_repository


@pytest.fixture
def model(tmp_path: Path) -> ServedModel:
    engine = tmp_path / "engine"
    engine.write_bytes(b"a plan")
    return ServedModel("yolov8n", "tensorrt_plan", engine, "images", "float32", (3, 640, 640), "output0", (84, 8400), 8)


def test_a_plan_stands_where_triton_looks_for_it(model: ServedModel, tmp_path: Path) -> None:
    write_repository(tmp_path / "repository", [model, replace(model, name="two", platform="onnxruntime_onnx")])

    assert (tmp_path / "repository/yolov8n/1/model.plan").read_bytes() == b"a plan"
    assert (tmp_path / "repository/two/1/model.onnx").read_bytes() == b"a plan"
    assert (tmp_path / "repository/yolov8n/config.pbtxt").read_text(encoding="utf-8") == (
        'name: "yolov8n"\n'
        'platform: "tensorrt_plan"\n'
        "max_batch_size: 8\n"
        'input [ { name: "images" data_type: TYPE_FP32 dims: [3, 640, 640] } ]\n'
        'output [ { name: "output0" data_type: TYPE_FP32 dims: [84, 8400] } ]\n'
        "instance_group [ { count: 1 kind: KIND_GPU } ]\n"
        "dynamic_batching { max_queue_delay_microseconds: 500 }\n"
    )


def test_a_path_is_quoted(model: ServedModel, tmp_path: Path) -> None:
    odd = replace(model, platform="python", engine=tmp_path / 'a "b" \\ c')

    assert r"a \"b\" \\ c" in config_text(odd)


@pytest.mark.parametrize("changed", [{"platform": "caffe"}, {"input_type": "complex64"}])
def test_what_cannot_be_served_is_an_error(changed: dict[str, str], model: ServedModel) -> None:
    with pytest.raises(BenchError, match="cannot be served"):
        config_text(replace(model, **changed))


def test_a_folder_that_cannot_be_written_is_an_error(model: ServedModel, tmp_path: Path) -> None:
    (tmp_path / "repository").write_text("a file")

    with pytest.raises(BenchError, match="cannot be written"):
        write_repository(tmp_path / "repository", [model])


def test_a_machine_without_a_shared_python_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_candidates", lambda _: iter([Path("/nowhere/python")]))

    assert find_python() is None
    assert "shared libpython" in unsupported_reason(own_environment=True)
    assert f"no shared libpython of 3.{sys.version_info.minor}" in unsupported_reason(own_environment=False)


def test_a_python_that_triton_does_not_know_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "OWN_PYTHONS", ((3, 8),))

    assert "knows Python 3.11 to 3.13, and this is 3." in unsupported_reason(own_environment=False)


def test_the_suites_packages_are_found_without_its_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an interpreter of another place: it has a library of its own, and takes all else from the suite's."""
    paths = suite_paths()

    assert paths[0] == str(ROOT)
    assert str(Path(numpy.__file__).parents[1]) in paths
    inside = Path(numpy.__file__).parent
    monkeypatch.setattr(sys, "path", [*sys.path, str(inside)])
    assert suite_paths() == paths, "a package's own folder, added while it is imported"
    assert not {sysconfig.get_path("stdlib"), str(Path(sysconfig.get_path("stdlib")) / "lib-dynload")} & set(paths)


def test_an_engine_of_the_suite_has_an_instance_on_one_gpu(model: ServedModel) -> None:
    served = replace(model, platform="suite")

    assert 'backend: "python"' in config_text(served) and "KIND_CPU" in config_text(served)
    assert "instance_group [ { count: 1 kind: KIND_GPU gpus: [0] } ]" in config_text(replace(served, on_gpu=True))
    assert f'key: "request" value {{ string_value: "{model.engine}" }}' in config_text(served)
