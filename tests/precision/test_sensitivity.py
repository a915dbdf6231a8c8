"""The noise that a quantised layer adds to the outputs, and which layers that keeps in float."""

import numpy as np
import onnx
import pytest

from fixtures.precision.onnx_session import Skeleton
from fixtures.precision.qdq_placement import spread
from fixtures.precision.quantizable_layers import Layer, find_layers, kept_by_structure
from fixtures.precision.sensitivity import OutputNoise, Sensitivity
from tests.helpers.networks import image_feeds, write_detector

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


def test_a_channel_that_never_varies_is_measured_against_its_size():
    single = [{"out": np.array([[2.0, 0.0]])}]
    off = [{"out": np.array([[2.2, 0.0]])}]
    assert OutputNoise(single).of(off) == pytest.approx(0.01 / 2)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sensitivity, tuple[Layer, ...], list[str]]:
    folder = tmp_path_factory.mktemp("sensitivity")
    model = onnx.load(write_detector(folder / "net.onnx"))
    layers = find_layers(model)
    structural = kept_by_structure(model, layers)
    layers = tuple(layer for layer in layers if layer.name not in structural)
    # Ranges wide enough for everything: what differs is how much of a range a layer really uses.
    (loud,) = (layer.activation for layer in layers if layer.name == "/loud/Conv")
    ranges = {name: 300.0 if name == loud else 30.0 for name in spread(model, layers).groups}
    progress: list[str] = []
    return Sensitivity(Skeleton.of(model, folder), ranges, image_feeds(4, seed=0), progress.append), layers, progress


def test_the_layer_behind_the_loud_channel_is_by_far_the_noisiest(detector):
    sensitivity, layers, _ = detector
    alone = {layer.name: sensitivity.noise([layer]) for layer in layers}
    loud = alone.pop("/loud/Conv")
    assert loud > 5 * max(alone.values()) > 0


def test_the_noisiest_layer_goes_first_and_no_more_go_than_the_budget_asks_for(detector):
    sensitivity, layers, progress = detector
    others = [layer for layer in layers if layer.name != "/loud/Conv"]
    budget = 1.01 * sensitivity.noise(others)
    before = len(progress)
    verdict = sensitivity.judge(layers, budget, outlier_share=0.1)
    assert list(verdict.quantised) == others
    assert next(iter(verdict.noise_alone)) == "/loud/Conv"
    assert verdict.noise <= budget < verdict.noise_of_all
    assert verdict.noise == sensitivity.noise(verdict.quantised)
    assert len(progress) - before == len(layers) + 1


def test_within_the_budget_at_once_nothing_is_ranked(detector):
    sensitivity, layers, progress = detector
    before = len(progress)
    verdict = sensitivity.judge(layers, 1.0, outlier_share=0.1)
    assert verdict.quantised == layers
    assert verdict.noise == verdict.noise_of_all
    assert verdict.noise_alone == {}
    assert len(progress) == before


def test_without_a_share_to_stand_out_by_a_budget_of_nothing_leaves_nothing(detector):
    sensitivity, layers, _ = detector
    assert sensitivity.judge(layers, 0.0, outlier_share=-1.0).quantised == ()


def test_a_budget_of_nothing_takes_out_only_what_stands_out(detector):
    sensitivity, layers, _ = detector
    alone = {layer.name: sensitivity.noise([layer]) for layer in layers}
    share = 0.1
    standing_out = {name for name, noise in alone.items() if noise > share * sum(alone.values())}
    verdict = sensitivity.judge(layers, 0.0, outlier_share=share)
    assert {layer.name for layer in layers} - {layer.name for layer in verdict.quantised} == standing_out
    assert "/loud/Conv" in standing_out and len(standing_out) < len(layers)
