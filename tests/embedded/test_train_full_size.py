import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from fixtures.datasets.synthetic.dataset import PROMPTS, TRAINING_IDS, zero_shot_scene
from fixtures.embedded.train_full_size import TRAINING_FILE, make_full_size
from fixtures.embedded.training.clip_networks import vit_b_32_config
from fixtures.embedded.training.tokenizer import build_tokenizer
from fixtures.embedded.training.train_clip import ClipRecipe, _Course, _Eye, vit_b_32_recipe
from fixtures.embedded.weights import clip_path, knows_shapes_alone
from fixtures.models.clip import load_clip


def narrow(tokenizer: CLIPTokenizer) -> CLIPConfig:
    """The full-size network's pixels, patches and positions, but hardly a weight."""
    config = vit_b_32_config(tokenizer)
    for tower in (config.vision_config, config.text_config):
        tower.hidden_size, tower.intermediate_size, tower.num_hidden_layers, tower.num_attention_heads = 32, 64, 1, 2
    return config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full") / "vit"
    recipe = ClipRecipe(images=300, minutes=0.02, batch=32)
    make_full_size(folder, recipe, narrow, device="cpu", workers=1, held_out=20)
    return folder


def test_the_full_size_network_has_the_tensors_of_openai_s_vit_b_32():
    with torch.device("meta"):
        ours, theirs = CLIPModel(vit_b_32_config(build_tokenizer())), CLIPModel(CLIPConfig())
    shapes = {name: tensor.shape for name, tensor in ours.named_parameters()}
    assert shapes == {name: tensor.shape for name, tensor in theirs.named_parameters()}
    # openai/clip-vit-base-patch32 on the hub: 151 277 313 parameters.
    assert sum(shape.numel() for shape in shapes.values()) == 151_277_313


def test_what_is_written_loads_as_the_suite_loads_a_clip(trained: Path):
    image, text = load_clip(str(trained), allow_download=False)
    assert image.weights.trained and text.weights.trained
    pixels, tokens = image.prepare([zero_shot_scene(TRAINING_IDS[0]).image]), text.prepare(PROMPTS[:2])
    assert pixels.shape == (1, 3, 224, 224) and tokens.shape == (2, 77)
    with torch.no_grad():
        assert image.module()(pixels).shape == (1, 512)
        red, other = text.module()(tokens)
    assert not torch.equal(red, other)


def test_it_pools_the_text_at_its_end(trained: Path):
    """With vocabulary to spare END is not the last token: the configuration must name it."""
    _, text = load_clip(str(trained), allow_download=False)
    tokens = text.prepare(PROMPTS[:1])
    end = json.loads((trained / "config.json").read_text())["text_config"]["eos_token_id"]
    first_end = int((tokens[0] == end).int().argmax())
    after, before = tokens.clone(), tokens.clone()
    after[0, first_end + 1 :] = 5
    before[0, first_end - 1] = 5
    module = text.module()
    with torch.no_grad():
        torch.testing.assert_close(module(after), module(tokens))
        assert not torch.allclose(module(before), module(tokens), atol=1e-3)


def test_it_tells_how_it_was_trained_and_how_good_it_is(trained: Path):
    told = json.loads((trained / TRAINING_FILE).read_text())
    assert told["recipe"]["images"] == 300 and told["held_out"]["images"] == 20
    assert 0 <= told["held_out"]["top1"] <= 1
    assert told["parameters"] == sum(each.numel() for each in CLIPModel.from_pretrained(trained).parameters())


def test_it_is_stored_in_fp32(trained: Path):
    """Weights rounded to FP16 beforehand would spare an FP16 engine what it is judged for."""
    from safetensors.torch import load_file

    tensors = load_file(trained / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()} == {torch.float32}
    weight = tensors["visual_projection.weight"]
    assert not torch.equal(weight.half().float(), weight)


def test_it_is_known_by_its_folder(trained: Path, tmp_path: Path):
    assert knows_shapes_alone(str(trained))
    assert not knows_shapes_alone("openai/clip-vit-base-patch32")
    assert not knows_shapes_alone("")
    for content in ("", "[]", "{}", '{"trained_on": "laion"}'):
        (tmp_path / "config.json").write_text(content)
        assert not knows_shapes_alone(str(tmp_path))


def test_in_training_it_sees_what_the_processor_shows_it():
    images = [zero_shot_scene(image_id).image for image_id in TRAINING_IDS[:4]]
    processor = CLIPImageProcessor.from_pretrained(clip_path(), size={"shortest_edge": 224}, crop_size=224)
    shown = processor(images=images, return_tensors="pt")["pixel_values"]
    seen = _Eye(224, "cpu")(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))
    apart = (seen - shown).abs()
    # The processor's weights are integers: here and there it is two of 256 levels off. 0.26 is the smallest
    # deviation of a channel.
    assert apart.max() <= 2.01 / 255 / 0.26
    assert (apart > 1e-4).float().mean() < 0.02
    small = CLIPImageProcessor.from_pretrained(clip_path())(images=images, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(_Eye(64, "cpu")(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)), small)


def test_a_time_limit_ends_the_training_and_cools_it_down(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr("fixtures.embedded.training.train_clip.time.monotonic", lambda: now[0])
    course = _Course(vit_b_32_recipe(minutes=2), images=1000)
    rates = []
    for second in range(0, 120, 3):
        now[0] = 100.0 + second
        assert course.tick(step=10**6) == second * 1000 < course.ticks
        rates.append(course.rate(course.tick(0)))
    now[0] = 220.0
    assert course.tick(step=0) >= course.ticks
    peak = rates.index(max(rates))
    assert peak * 3 == 12 and rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[0] < 0.01 and rates[-1] < 0.01 and rates[peak:] == sorted(rates[peak:], reverse=True)


def test_epochs_are_counted_in_steps():
    course = _Course(ClipRecipe(), images=240_000)
    assert course.ticks == 30 * 234 and course.tick(7) == 7
    assert course.rate(299) == 1.0 and course.rate(0) == 1 / 300 and course.rate(course.ticks) == 0.0


def test_data_workers_need_not_import_what_is_heavy():
    code = "import sys, fixtures.embedded.train_full_size; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers"} & set(done.stdout.split())


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("keep")
    command = [sys.executable, "-m", "fixtures.embedded.train_full_size", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "is not empty" in done.stderr
