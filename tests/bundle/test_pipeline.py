"""The pipeline command on bundles: the answers are those of the engines in the cache, and no weights are read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fixtures.assets.loader import SuiteAssets
from fixtures.photos.drawn import draw_photo, encode, recipe
from fixtures.pipeline.bundled import BundledNetworks
from fixtures.pipeline.library.command import ANSWERED, NOT_RUN, main
from fixtures.pipeline.spec import EngineName, PipelineSpec
from reports.bundle.format import SUMS
from reports.bundle.reading import OpenBundle, read_bundle
from tests.bundle.conftest import read, write

Give = Callable[[str], Path]
SIZE = (320, 240)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(10):
        how = recipe(number, SIZE)
        (folder / f"{number}.jpg").write_bytes(encode(draw_photo(4_000_000 + number, how.shown_size).pixels, how))
    return folder


@pytest.fixture
def ask(
    photos: Path, engine_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[dict[str, Any]], str]]:
    """Exit status, answers, and what the command said."""

    def call(*more: str) -> tuple[int, list[dict[str, Any]], str]:
        output = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        usual = ("--suite", "embedded", "--device", "cpu", "--overlap", "serial", "--engine-cache", str(engine_cache))
        status = main([str(photos), "--output", str(output), *usual, *more])
        lines = output.read_text(encoding="utf-8").splitlines() if output.exists() else []
        return status, [json.loads(line) for line in lines], capsys.readouterr().err

    return call


@pytest.mark.parametrize("preprocessor", ["fast", "reference"])
def test_both_bundles_answer_as_the_engines_of_the_cache_and_read_no_weights(
    shipped: Give, ask: Any, preprocessor: str, monkeypatch: pytest.MonkeyPatch
):
    named = ("--preprocessor", preprocessor)
    status, from_cache, _ = ask("--engines", "onnxruntime-fp16,onnxruntime-int8", *named)
    assert status == ANSWERED and any(row["boxes"] for row in from_cache)

    def unread(*_: Any) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(SuiteAssets, "model", unread)
    status, from_bundles, said = ask("--bundle", str(shipped("clip-image")), str(shipped("yolov8n")), *named)
    assert status == ANSWERED and from_bundles == from_cache
    # With the reference preprocessor one NMS a batch is not the usual one, and named.
    rest = "serial" if preprocessor == "fast" else "batched-serial"
    assert f"photo-simplejpeg-{preprocessor}-onnxruntime-fp16+onnxruntime-int8-{rest}" in said


@pytest.mark.parametrize("model", ["clip-image", "yolov8n"])
def test_one_bundle_stands_beside_the_weights_of_the_other(shipped: Give, ask: Any, model: str):
    _, from_cache, _ = ask("--engines", "onnxruntime-fp16,onnxruntime-int8")
    other = "onnxruntime-fp16" if model == "clip-image" else "onnxruntime-int8"
    status, rows, _ = ask("--bundle", str(shipped(model)), "--engines", other)
    assert status == ANSWERED and rows == from_cache


def test_other_prompts_need_the_text_tower_of_the_bundle(shipped: Give, copied: Give, ask: Any, tmp_path: Path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a photo of a red circle\na photo of a blue square\n", encoding="utf-8")
    named = ("--prompts", str(prompts), "--engines", "onnxruntime-fp16")
    status, rows, said = ask("--bundle", str(shipped("clip-image")), *named)
    assert status == ANSWERED, said
    assert {scene["label"] for row in rows for scene in row["scenes"]} == set(prompts.read_text().splitlines())
    folder = copied("clip-image")
    bundle = read(folder)
    write(
        folder,
        msgspec.structs.replace(bundle, origin=msgspec.structs.replace(bundle.origin, weights_sha256="ab" * 32)),
    )
    status, _, said = ask("--bundle", str(folder), *named)
    assert status == NOT_RUN and "others need the text tower of clip-shapes" in said


def test_what_does_not_fit_is_refused_in_a_sentence(shipped: Give, copied: Give, ask: Any):
    folder = copied("yolov8n")
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    status, _, said = ask("--bundle", str(folder))
    assert status == NOT_RUN and "model.onnx has changed" in said
    path.write_bytes((shipped("yolov8n") / "model.onnx").read_bytes())
    write(folder, msgspec.structs.replace(read(folder), built_with={"onnxruntime": "1.19.0"}))
    status, _, said = ask("--bundle", str(folder))
    assert status == NOT_RUN and "it was built with onnxruntime 1.19.0" in said and f"verify {folder} --rebuild" in said
    (folder / SUMS).unlink()
    status, _, said = ask("--bundle", str(folder))
    assert status == NOT_RUN and f"{folder / SUMS}: No such file" in said
    status, _, said = ask("--bundle", str(shipped("clip-text")))
    assert status == NOT_RUN and "is the bundle of a text tower: a pipeline runs none" in said
    status, _, said = ask("--bundle", str(shipped("yolov8n")), str(shipped("yolov8n")))
    assert status == NOT_RUN and "are both a detector's" in said
    both = (str(shipped("yolov8n")), str(shipped("clip-image")))
    status, _, said = ask("--bundle", *both, "--engines", "onnxruntime-fp32")
    assert status == NOT_RUN and "--engines: the bundles bring both engines" in said


def test_a_pipeline_takes_the_batch_of_an_engine_that_takes_no_other(shipped: Give, copied: Give, ask: Any):
    base = PipelineSpec("pil", "fast", EngineName("pytorch", "fp32"), EngineName("pytorch", "fp32"), "batched")

    def static(model: str, batch: int) -> OpenBundle:
        opened = read_bundle(shipped(model))
        case = msgspec.structs.replace(opened.bundle.case, batch=batch, dynamic_batch=False)
        return OpenBundle(opened.folder, msgspec.structs.replace(opened.bundle, case=case))

    assert BundledNetworks(static("yolov8n", 4)).spec(base).batch == 4
    assert BundledNetworks(static("yolov8n", 4), static("clip-image", 4)).spec(base).batch == 4
    assert BundledNetworks(read_bundle(shipped("yolov8n"))).spec(base).batch == base.batch
    with pytest.raises(Exception, match="take batches of 4 and 8, a pipeline has one"):
        BundledNetworks(static("yolov8n", 4), static("clip-image", 8)).spec(base)
    folder = copied("yolov8n")
    case = msgspec.structs.replace(read(folder).case, batch=4, dynamic_batch=False)
    write(folder, msgspec.structs.replace(read(folder), case=case))
    status, _, said = ask("--bundle", str(folder), "--batch", "2")
    assert status == NOT_RUN and "--batch 2: the bundle's engine was built for 4" in said
