"""SigLIP is a family of one file; a folder of towers is what it claims, or is refused while it is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.embedded.weights import clip_path
from fixtures.errors import BenchError
from fixtures.models.clip import load_clip

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SigLIP with random weights, with the words of the embedded CLIP."""
    from transformers import SiglipConfig, SiglipModel

    folder = Path(shutil.copytree(clip_path(), tmp_path_factory.mktemp("siglip") / "siglip"))
    (folder / "model.safetensors").unlink()
    text = SMALL | {"vocab_size": 662, "max_position_embeddings": 32, "projection_size": 32, "eos_token_id": 1}
    vision = SMALL | {"image_size": 64, "patch_size": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Path(shutil.copytree(clip_path(), tmp_path / "clip"))


def _refused(folder: Path, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        load_clip(str(folder), allow_download=False)


def test_both_towers_answer_like_transformers_own(siglip: Path):
    from transformers import SiglipModel

    image, text = load_clip(str(siglip), allow_download=False)
    theirs = SiglipModel.from_pretrained(siglip).float().eval()
    pixels = image.prepare([np.full((80, 100, 3), shade, np.uint8) for shade in (0, 90, 255)])
    ids = text.prepare(["a photo of a red circle", "a photo of a blue star"])
    assert ids.shape == (2, 32)
    with torch.no_grad():
        for ours, answer in (
            (image.module()(pixels), theirs.get_image_features(pixel_values=pixels)),
            (text.module()(ids), theirs.get_text_features(input_ids=ids)),
        ):
            torch.testing.assert_close(ours, getattr(answer, "pooler_output", answer))


def test_graphs_of_both_towers_answer_like_their_modules_at_any_batch(siglip: Path, tmp_path: Path):
    from fixtures.models.onnx_export import export_onnx
    from fixtures.precision.onnx_session import open_session, run

    image, text = load_clip(str(siglip), allow_download=False)
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 255, (70, 90, 3), np.uint8) for _ in range(3)]
    for model, items in ((image, pictures), (text, ["a photo of a red circle", "a star", "a blue star"])):
        inputs = model.prepare(items)
        export_onnx(model, inputs, tmp_path / f"{model.name}.onnx")
        found = run(open_session(tmp_path / f"{model.name}.onnx"), {model.input_name: inputs.numpy()})
        with torch.no_grad():
            expected = model.module()(inputs).numpy()
        np.testing.assert_allclose(found[model.output_name], expected, atol=1e-4)


def _state(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_missing_tensors_are_counted_and_named(clip: Path):
    def vision_only(state: dict[str, Any]) -> None:
        for name in [name for name in state if name.startswith("text_")]:
            del state[name]

    _state(clip, vision_only)
    _refused(clip, r"CLIP weights cannot be loaded from .*: \d+ missing tensors, first text_model\.embeddings")


def test_one_missing_tensor_is_enough(clip: Path):
    _state(clip, lambda state: state.pop("visual_projection.weight"))
    _refused(clip, r"1 missing tensors, first visual_projection\.weight")


def test_unexpected_tensors_are_named_and_old_buffers_are_not(clip: Path):
    _state(clip, lambda state: state.update({"vision_model.embeddings.position_ids": torch.arange(65)[None]}))
    load_clip(str(clip), allow_download=False)
    _state(clip, lambda state: state.update({"visual_projection.lora_A.weight": torch.zeros(4, 4)}))
    _refused(clip, r"1 unexpected tensors, first visual_projection\.lora_A\.weight")


def test_tensors_of_another_shape_are_named(clip: Path):
    _state(clip, lambda state: state.update({"text_projection.weight": torch.zeros(3, 5)}))
    _refused(clip, r"1 mismatched tensors, first text_projection\.weight")


def test_tensors_that_are_not_finite_are_named(clip: Path):
    _state(clip, lambda state: state["text_projection.weight"].fill_(float("nan")))
    _refused(clip, r"1 tensors hold NaN or infinity, first text_projection\.weight")


def test_another_model_type_is_refused_by_its_name(clip: Path):
    _config(clip, lambda config: config.update(model_type="blip"))
    _refused(clip, r"holds a model of the type 'blip', and this suite runs clip, siglip")


@pytest.mark.parametrize("file", ["adapter_config.json", "open_clip_config.json"])
def test_what_is_no_transformers_folder_is_refused_by_what_it_is(clip: Path, file: str):
    (clip / "config.json").rename(clip / file)
    _refused(clip, rf"{file} and no config\.json")


def test_a_processor_of_another_size_is_refused(clip: Path):
    processor = json.loads((clip / "preprocessor_config.json").read_text())
    processor |= {"size": {"shortest_edge": 96}, "crop_size": {"height": 96, "width": 96}}
    (clip / "preprocessor_config.json").write_text(json.dumps(processor))
    for other in clip.glob("processor_config.json"):
        other.unlink()
    _refused(clip, r"its processor makes images of 3×96×96, its network takes 3×64×64")


def test_a_tokenizer_of_another_model_is_refused(clip: Path):
    _config(clip, lambda config: config["text_config"].update(eos_token_id=7))
    _refused(clip, r"its text ends with token \d+, but config.json says eos_token_id=7")


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3, 3), (3, 50), (50, 1)])
def test_images_of_any_shape_are_prepared(shape: tuple[int, int]):
    image, _ = load_clip(str(clip_path()), allow_download=False)
    assert image.prepare([np.zeros((*shape, 3), np.uint8)]).shape == (1, 3, 64, 64)


def test_every_line_of_the_registry_is_a_family():
    from fixtures.models import registry

    assert all(registry.tower_family(name).network for name in registry.TOWERS)
