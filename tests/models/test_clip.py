import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.embedded.weights import clip_path
from fixtures.environment.conflicts import Conflict
from fixtures.errors import BenchError
from fixtures.models import clip
from fixtures.models.clip import UNTRAINED, ClipImageModel, ClipTextModel, load_clip


@pytest.fixture(scope="module")
def towers() -> tuple[ClipImageModel, ClipTextModel]:
    return load_clip(str(clip_path()), allow_download=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(clip_path(), tmp_path / "clip"))


def test_the_image_tower_answers_like_transformers_own(towers: tuple[ClipImageModel, ClipTextModel]):
    from transformers import CLIPModel

    image = towers[0]
    inputs = image.prepare([np.full((80, 100, 3), shade, np.uint8) for shade in (0, 90, 255)])
    with torch.no_grad():
        theirs = CLIPModel.from_pretrained(clip_path()).float().eval().get_image_features(pixel_values=inputs)
        ours = image.module()(inputs)
    torch.testing.assert_close(ours, getattr(theirs, "pooler_output", theirs))


def test_the_text_tower_needs_no_attention_mask(towers: tuple[ClipImageModel, ClipTextModel]):
    """What stands behind the end of a text cannot change its embedding: that is why it has no mask input."""
    from transformers import CLIPModel, CLIPProcessor

    text = towers[1]
    prompts = ["a photo of a red circle", "a photo of a blue star"]
    tokens = CLIPProcessor.from_pretrained(clip_path()).tokenizer(
        prompts, padding="max_length", max_length=text.prepare(prompts).shape[1], return_tensors="pt"
    )
    with torch.no_grad():
        theirs = CLIPModel.from_pretrained(clip_path()).float().eval().get_text_features(**tokens)
        ours = text.module()(text.prepare(prompts))
    torch.testing.assert_close(ours, getattr(theirs, "pooler_output", theirs), rtol=1e-4, atol=1e-4)


def test_each_tower_answers_for_its_share_of_the_bytes(towers: tuple[ClipImageModel, ClipTextModel]):
    total = sum(tower.weights.size_bytes for tower in towers)
    on_disk = (clip_path() / "model.safetensors").stat().st_size
    assert total == pytest.approx(on_disk, rel=0.01)


def test_untrained_weights_are_repeatable_and_say_so():
    image, text = load_clip(UNTRAINED, allow_download=False)
    assert not image.weights.trained
    assert image.prepare([np.zeros((10, 10, 3), np.uint8)]).shape == (1, 3, 224, 224)
    assert text.prepare(["anything", "at all"]).shape == (2, 77)
    assert image.weights.sha256 == load_clip(UNTRAINED, allow_download=False)[0].weights.sha256


@pytest.mark.parametrize("missing", ["preprocessor_config.json", "tokenizer.json"])
def test_a_folder_without_a_processor_is_refused(folder: Path, missing: str):
    gone = [path for path in (folder / missing, folder / "processor_config.json") if path.exists()]
    if missing == "tokenizer.json":
        gone += [path for path in (folder / "vocab.json", folder / "merges.txt") if path.exists()]
    for path in gone:
        path.unlink()
    with pytest.raises(BenchError, match=r"(?s)processor cannot be loaded from .*CLIPProcessor\.save_pretrained"):
        load_clip(str(folder), allow_download=False)


def test_truncated_weights_are_refused(folder: Path):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(BenchError, match=r"CLIP weights cannot be loaded from .*clip"):
        load_clip(str(folder), allow_download=False)


def test_missing_weights_are_refused(folder: Path):
    (folder / "model.safetensors").unlink()
    with pytest.raises(BenchError, match="CLIP weights cannot be loaded"):
        load_clip(str(folder), allow_download=False)


def test_a_hub_id_without_a_download_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BenchError, match=r"nobody/no-clip \(Hugging Face hub or its cache\)"):
        load_clip("nobody/no-clip", allow_download=False)


def test_a_file_is_no_folder(folder: Path):
    with pytest.raises(BenchError, match="is a file, not a folder"):
        load_clip(str(folder / "config.json"), allow_download=False)


def test_a_folder_of_another_architecture_is_refused(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["hidden_size"] *= 2
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BenchError, match="CLIP weights cannot be loaded"):
        load_clip(str(folder), allow_download=False)


@pytest.mark.parametrize("source", [str(clip_path()), UNTRAINED])
def test_packages_that_do_not_fit_are_named_in_the_place_of_files_that_are_whole(
    source: str, monkeypatch: pytest.MonkeyPatch
):
    """transformers 5 beside PyTorch 2.5 says that PyTorch is absent, and used to end in "copy the model again"."""

    def absent(*_: object, **__: object) -> None:
        raise ImportError("CLIPModel requires the PyTorch library but it was not found in your environment.")

    needs = Conflict("transformers", "torch", "transformers 5 needs torch>=2.6", ('pip install "transformers<5"',))
    monkeypatch.setattr(clip, "conflict_of", {"transformers": needs}.get)
    monkeypatch.setattr(clip.CLIPModel, "from_pretrained", absent)
    monkeypatch.setattr(clip.CLIPModel, "__init__", absent)
    with pytest.raises(BenchError) as error:
        load_clip(source, allow_download=False)
    assert "transformers 5 needs torch>=2.6" in error.value.what and "copy or download" not in str(error.value)
    assert error.value.hint.startswith('pip install "transformers<5"')
