"""Zero-shot scores on embeddings whose answers are known."""

import math

import numpy as np
import pytest

from fixtures.accuracy.zero_shot import Embeddings, Flip, compare
from fixtures.errors import BenchError


def classifier(n_images=200, n_prompts=8, dim=64, noise=0.6, seed=0):
    """Embeddings that are near the prompt of their label, but not always nearest to it."""
    rng = np.random.default_rng(seed)
    texts = rng.normal(size=(n_prompts, dim))
    labels = rng.integers(0, n_prompts, n_images)
    images = texts[labels] + noise * math.sqrt(dim) * 0.7 * rng.normal(size=(n_images, dim))
    return Embeddings(images.astype(np.float32), texts.astype(np.float32)), labels


def with_noise(embeddings, spread, seed=1):
    noise = np.random.default_rng(seed).normal(size=embeddings.images.shape)
    return Embeddings((embeddings.images + spread * noise).astype(np.float32), embeddings.texts)


def with_image(embeddings, index, value):
    images = embeddings.images.copy()
    images[index] = value
    return Embeddings(images, embeddings.texts)


def test_an_engine_agrees_with_itself_but_not_beyond_what_the_images_can_show():
    baseline, labels = classifier()
    score = compare(baseline, baseline, labels)
    assert score.agreement.value == 1.0
    assert (score.agreement.low, score.agreement.high) == (
        pytest.approx(200 / (200 + 1.96**2), abs=1e-4),
        1.0,
    )
    assert score.accuracy.candidate == score.accuracy.baseline
    assert score.accuracy.ratio.value == 1.0
    assert score.accuracy.ratio.low < 1.0 < score.accuracy.ratio.high
    assert score.flips == ()
    assert (score.image_cosine_worst, score.text_cosine_worst) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (score.unreadable_candidate, score.unreadable_baseline) == (0, 0)


def test_agreement_and_accuracy_are_counted_by_hand():
    texts = np.eye(3)
    baseline = Embeddings(np.array([[3, 1, 0], [0, 3, 1], [0, 0, 3], [3, 2, 0]], float), texts)
    candidate = Embeddings(np.array([[3, 1, 0], [0, 3, 1], [0, 0, 3], [2, 3, 0]], float), texts)
    score = compare(candidate, baseline, [0, 1, 0, 0])
    assert score.agreement.value == 0.75
    assert (score.accuracy.candidate, score.accuracy.baseline) == (0.5, 0.75)
    assert score.accuracy.ratio.value == pytest.approx(2 / 3)
    assert score.flips == (Flip(3, 0, 1, pytest.approx((3 - 2) / math.sqrt(13))),)
    assert score.image_cosine_worst == pytest.approx(12 / 13)
    assert score.image_cosine_mean == pytest.approx((3 + 12 / 13) / 4)


def test_small_noise_flips_ties_and_damage_flips_more():
    baseline, labels = classifier(n_images=1000)
    slight = compare(with_noise(baseline, 0.05), baseline, labels)
    damaged = compare(with_noise(baseline, 4.0), baseline, labels)
    assert 0.97 < slight.agreement.value < 1.0
    assert damaged.agreement.value < 0.9
    assert damaged.accuracy.ratio.value < slight.accuracy.ratio.value
    assert slight.flips[-1].margin < 0.02 < damaged.flips[-1].margin
    assert damaged.image_cosine_mean < slight.image_cosine_mean
    assert [each.margin for each in damaged.flips] == sorted(each.margin for each in damaged.flips)


def test_the_intervals_hold_their_values_and_narrow_with_more_images():
    widths = []
    for n_images in (100, 1600):
        baseline, labels = classifier(n_images=n_images)
        score = compare(with_noise(baseline, 1.0), baseline, labels)
        for ratio in (score.agreement, score.accuracy.ratio):
            assert ratio.low < ratio.value < ratio.high
            assert ratio.n_images == n_images
        widths.append(score.accuracy.ratio.high - score.accuracy.ratio.low)
    assert widths[1] < widths[0] / 2


def test_without_labels_there_is_agreement_but_no_accuracy():
    baseline, _ = classifier()
    score = compare(with_noise(baseline, 1.0), baseline)
    assert score.accuracy is None
    assert score.agreement.value < 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0])
def test_an_image_that_cannot_be_read_is_wrong_and_counted(value):
    baseline, labels = classifier()
    score = compare(with_image(baseline, 3, value), baseline, labels)
    assert score.unreadable_candidate == 1
    assert score.agreement.value == pytest.approx(199 / 200)
    assert score.image_cosine_worst == -1.0
    (flip,) = score.flips
    assert (flip.image, flip.candidate) == (3, None)


def test_one_unreadable_number_spoils_its_embedding():
    baseline, labels = classifier()
    images = baseline.images.copy()
    images[3, 5] = math.nan
    assert compare(Embeddings(images, baseline.texts), baseline, labels).unreadable_candidate == 1


def test_an_engine_of_nothing_but_nan_scores_zero():
    baseline, labels = classifier()
    broken = Embeddings(np.full_like(baseline.images, math.nan), np.full_like(baseline.texts, math.nan))
    score = compare(broken, baseline, labels)
    assert (score.agreement.value, score.accuracy.candidate, score.accuracy.ratio.value) == (0.0, 0.0, 0.0)
    assert (score.image_cosine_mean, score.text_cosine_worst) == (-1.0, -1.0)
    assert score.unreadable_candidate == 208
    assert len(score.flips) == 200


def test_two_broken_engines_do_not_agree():
    baseline, labels = classifier()
    spoiled = with_image(baseline, 3, math.nan)
    score = compare(spoiled, spoiled, labels)
    assert score.agreement.value == pytest.approx(199 / 200)
    assert (score.unreadable_candidate, score.unreadable_baseline) == (1, 1)
    assert score.flips == ()


def test_a_prompt_that_cannot_be_read_is_never_chosen():
    baseline, labels = classifier()
    texts = baseline.texts.copy()
    texts[2] = math.nan
    score = compare(Embeddings(baseline.images, texts), baseline, labels)
    healthy = compare(baseline, baseline, labels)
    assert score.unreadable_candidate == 1
    assert score.text_cosine_worst == -1.0
    assert score.accuracy.candidate < healthy.accuracy.candidate


def test_half_precision_embeddings_do_not_overflow():
    baseline, labels = classifier()
    large = Embeddings((baseline.images * 1000).astype(np.float16), baseline.texts.astype(np.float16))
    score = compare(large, baseline, labels)
    assert score.unreadable_candidate == 0
    assert score.image_cosine_worst > 0.999


def test_a_baseline_that_is_never_right_is_refused():
    baseline, _ = classifier(n_images=20)
    top1 = (baseline.images @ baseline.texts.T / np.linalg.norm(baseline.texts, axis=1)).argmax(axis=1)
    with pytest.raises(BenchError, match="top-1 accuracy on these 20 images is 0"):
        compare(baseline, baseline, (top1 + 1) % 8)


def test_an_unseen_loss_is_bounded_by_the_number_of_images():
    low = []
    for n_images in (50, 800):
        baseline, labels = classifier(n_images=n_images, noise=0.01)
        low.append(compare(baseline, baseline, labels).accuracy.ratio.low)
    assert low == pytest.approx([50 / (50 + 1.96**2), 800 / (800 + 1.96**2)], abs=1e-4)


def test_jobs_that_do_not_belong_together_are_refused():
    baseline, labels = classifier()
    with pytest.raises(ValueError, match="same job"):
        compare(Embeddings(baseline.images[:5], baseline.texts), baseline, labels)
    with pytest.raises(ValueError, match="do not fit"):
        compare(baseline, baseline, labels[:5])
    with pytest.raises(ValueError, match="do not fit"):
        compare(baseline, baseline, labels + 8)
    with pytest.raises(ValueError, match="nothing to choose"):
        compare(*[Embeddings(baseline.images, baseline.texts[:1])] * 2)
