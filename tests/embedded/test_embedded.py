import json
import shutil
import socket
from pathlib import Path

import pytest
import torch
from transformers import CLIPModel, CLIPProcessor

from fixtures.datasets.synthetic.dataset import PROMPTS, detection_set, zero_shot_set
from fixtures.datasets.synthetic.outlines import SHAPES
from fixtures.embedded import weights
from fixtures.embedded.training.evaluate import detection_map, zero_shot_top1
from fixtures.embedded.training.tokenizer import all_captions
from fixtures.errors import BenchError


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The weights and their manifest in a folder that a test may damage."""
    shutil.copy(weights.FOLDER / weights.MANIFEST_FILE, tmp_path)
    shutil.copy(weights.yolo_path(), tmp_path)
    shutil.copytree(weights.clip_path(), tmp_path / weights.CLIP_FOLDER)
    return tmp_path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_the_shipped_weights_are_whole_and_small():
    weights.verify()
    listed = {*weights.manifest()["files"]}
    shipped = {
        path.relative_to(weights.FOLDER).as_posix() for path in (weights.yolo_path(), *weights.clip_path().iterdir())
    }
    assert shipped == listed
    assert sum((weights.FOLDER / name).stat().st_size for name in listed) <= 12_000_000


@pytest.mark.parametrize("name", [weights.YOLO_FILE, f"{weights.CLIP_FOLDER}/model.safetensors"])
def test_one_flipped_byte_is_found(copied: Path, name: str):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(BenchError, match=r"(?s)is damaged.*git checkout"):
        weights.verify(copied)
    damaged, whole = (weights.yolo_path, weights.clip_path)[:: 1 if name == weights.YOLO_FILE else -1]
    with pytest.raises(BenchError, match="is damaged"):
        damaged(copied)
    assert whole(copied).exists()


def test_absent_truncated_and_unfetched_files_are_told_apart(copied: Path):
    path = copied / weights.YOLO_FILE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BenchError, match=r"has 1000 bytes, the manifest says 6027944"):
        weights.yolo_path(copied)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 6027944\n")
    with pytest.raises(BenchError, match=r"(?s)Git LFS pointer.*git lfs pull"):
        weights.yolo_path(copied)
    path.unlink()
    with pytest.raises(BenchError, match=r"are missing: .*yolov8n-shapes"):
        weights.yolo_path(copied)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {}}', '{"files": ["a"]}'])
def test_a_manifest_that_lists_nothing_is_no_clean_bill(copied: Path, content: str):
    (copied / weights.MANIFEST_FILE).write_text(content)
    with pytest.raises(BenchError, match="manifest of the embedded weights"):
        weights.verify(copied)


def test_truncated_yolo_weights_are_refused_when_loaded(copied: Path):
    path = copied / weights.YOLO_FILE
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(BenchError, match="embedded YOLO weights cannot be read"):
        weights.load_yolo(path)


@pytest.mark.usefixtures("no_network")
def test_yolo_loads_fused_in_fp32_without_the_network():
    model = weights.load_yolo(weights.yolo_path())
    assert not model.training
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.names == dict(enumerate(SHAPES))
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 256, 256))[0].shape == (2, 4 + len(SHAPES), 1344)


@pytest.mark.usefixtures("no_network")
def test_clip_is_a_plain_hugging_face_folder():
    model = CLIPModel.from_pretrained(weights.clip_path())
    processor = CLIPProcessor.from_pretrained(weights.clip_path())
    assert model.dtype == torch.float32
    tokens = processor(text=list(PROMPTS), padding=True, return_tensors="pt")
    end = model.config.text_config.eos_token_id
    # Either way of pooling, by the token or by arg-max, finds the same place.
    assert end != 2 and end == processor.tokenizer.eos_token_id == model.config.text_config.vocab_size - 1
    assert torch.equal((tokens.input_ids == end).int().argmax(1), tokens.input_ids.argmax(1))


def test_the_tokenizer_splits_any_text_without_unknown_tokens():
    tokenizer = CLIPProcessor.from_pretrained(weights.clip_path()).tokenizer
    texts = ["a photo of a red circle", "Zwölf Boxkämpfer: 99 %!", "猫 and 🐈"]
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.eos_token_id not in ids[1:-1]
        assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(tokenizer(texts[0])["input_ids"], skip_special_tokens=True).strip() == texts[0]
    longest = max(len(ids) for ids in tokenizer(all_captions())["input_ids"])
    assert longest <= tokenizer.model_max_length


def test_the_tokenizer_splits_like_one_that_the_training_code_builds():
    """The numbers of the tokens may differ (the BPE trainer breaks ties by hash), the tokens may not."""
    from fixtures.embedded.training.tokenizer import build_tokenizer

    shipped = CLIPProcessor.from_pretrained(weights.clip_path()).tokenizer
    built = build_tokenizer()
    for text in all_captions():
        words = [*(f"{word}</w>" for word in text.split())]
        assert shipped.tokenize(text) == built.tokenize(text) == words


def test_the_detector_is_good_but_not_saturated():
    figures = detection_map(weights.load_yolo(), detection_set(0, 64))
    assert 0.5 < figures["map50_95"] < 0.9
    assert figures["map50_95"] == pytest.approx(_held_out("yolo")["map50_95"], abs=0.08)


def test_the_classifier_is_good_but_not_saturated():
    model = CLIPModel.from_pretrained(weights.clip_path()).eval()
    top1 = zero_shot_top1(model, CLIPProcessor.from_pretrained(weights.clip_path()), zero_shot_set(0, 256))
    assert 0.75 < top1 < 0.97
    assert top1 == pytest.approx(_held_out("clip")["top1"], abs=0.05)


def test_the_figures_tell_a_damaged_detector_from_a_whole_one():
    """The band above can fail: one layer's scale times four ruins the figure."""
    model = weights.load_yolo()
    with torch.no_grad():
        model.model[4].cv1.conv.weight.mul_(4)
    assert detection_map(model, detection_set(0, 32))["map50_95"] < 0.5


def _held_out(network: str) -> dict[str, float]:
    content = json.loads((weights.FOLDER / weights.MANIFEST_FILE).read_text())
    return dict(content["trained"][network]["held_out"])
