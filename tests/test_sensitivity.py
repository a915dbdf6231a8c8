"""The noise that a quantised layer adds to the outputs, and which layers that keeps in float."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from fixtures.precision.layers import find_layers, kept_by_structure
from fixtures.precision.running import Skeleton
from fixtures.precision.sensitivity import OutputNoise, choose_float, noise_by_layer
from tests.small_nets import image_feeds, write_detector

RANDOM = np.random.default_rng(0)
REFERENCE = [{"out": RANDOM.normal(size=(1, 4, 50)) * [[[1.0], [10.0], [1000.0], [0.001]]]} for _ in range(8)]


def changed(by: np.ndarray | float) -> list[dict[str, np.ndarray]]:
    return [{"out": one["out"] + by * RANDOM.normal(size=one["out"].shape)} for one in REFERENCE]


def test_nothing_changed_is_no_noise():
    assert OutputNoise(REFERENCE).of(REFERENCE) == 0


def test_noise_is_error_variance_over_signal_variance_in_every_channel():
    tenth = np.array([[[0.1], [1.0], [100.0], [0.0001]]])
    assert OutputNoise(REFERENCE).of(changed(tenth)) == pytest.approx(0.01, rel=0.1)


def test_a_destroyed_channel_counts_once_however_wrong_it_is():
    last = np.array([[[0.0], [0.0], [0.0], [1e6]]])
    assert OutputNoise(REFERENCE).of(changed(last)) == pytest.approx(0.25)


def test_a_constant_part_of_an_embedding_does_not_hide_noise():
    shifted = [{"out": one["out"] + 1e5} for one in REFERENCE]
    noisy = [{"out": one["out"] + 1e5} for one in changed(np.array([[[0.1], [1.0], [100.0], [0.0001]]]))]
    assert OutputNoise(shifted).of(noisy) == pytest.approx(0.01, rel=0.1)


def test_the_noisiest_layers_go_until_the_others_fit_the_budget():
    noise = {"a": 0.01, "b": 0.30, "c": 0.02, "d": 0.10}
    assert choose_float(noise, 0.5) == ()
    assert choose_float(noise, 0.2) == ("b",)
    assert choose_float(noise, 0.035) == ("b", "d")
    assert choose_float(noise, 0.0) == ("b", "d", "c", "a")


def test_the_layer_behind_the_loud_channel_is_by_far_the_noisiest(tmp_path: Path):
    model = onnx.load(write_detector(tmp_path / "net.onnx"))
    layers = find_layers(model)
    structural = kept_by_structure(model, layers)
    layers = tuple(layer for layer in layers if layer.name not in structural)
    # Ranges wide enough for everything: what differs is how much of a range a layer really uses.
    ranges = {layer.activation: 30.0 for layer in layers}
    ranges[next(layer.activation for layer in layers if layer.name == "/loud/Conv")] = 1500.0
    seen: list[str] = []
    noise = noise_by_layer(Skeleton.of(model, tmp_path), layers, ranges, image_feeds(4, seed=0), seen.append)
    assert list(noise) == [layer.name for layer in layers]
    assert len(seen) == len(layers)
    loud = noise.pop("/loud/Conv")
    assert loud > 5 * max(noise.values()) > 0
