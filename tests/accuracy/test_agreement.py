import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from fixtures.accuracy.agreement import (
    PSEUDO_LABEL_SCORE,
    detection_agreement,
    disagreement_bound,
    disagreement_floor,
    matched_pairs,
    photos_needed,
    scene_agreement,
    undecided_boxes,
    undecided_scenes,
)
from fixtures.accuracy.bootstrap import Ratio, image_weights
from fixtures.accuracy.zero_shot import Embeddings
from fixtures.errors import BenchError

CATEGORIES = [{"id": 3, "name": "dog"}, {"id": 8, "name": "cat"}]


def boxes(count: int, seed: int = 0, least: float = 0.3) -> dict[int, np.ndarray]:
    """Three to six boxes of two classes in each of `count` photos, far apart from each other."""
    rng = np.random.default_rng(seed)
    found = {}
    for photo in range(count):
        number = int(rng.integers(3, 7))
        corner = np.stack([np.arange(number) * 100.0, rng.uniform(0, 300, number)], axis=1)
        size = rng.uniform(30, 80, (number, 2))
        score = rng.uniform(least, 1, (number, 1))
        found[photo] = np.concatenate(
            [corner, corner + size, score, rng.integers(0, 2, (number, 1)).astype(float)], axis=1
        )
    return found


@pytest.mark.parametrize(("rate", "needed"), [(0.0, 149), (0.005, 236), (0.01, 523), (0.015, 2201)])
def test_photos_that_a_bound_of_two_percent_needs(rate: float, needed: int):
    assert photos_needed(rate, 0.02) == needed
    bound = disagreement_bound(int(rate * needed), needed)
    assert bound <= 0.02 < disagreement_bound(int(rate * (needed - 1)), needed - 1)


@settings(max_examples=40, deadline=None)
# Without subnormal numbers: a library that sets the processor to drop them may be loaded, and Hypothesis refuses them.
@given(st.floats(0, 0.7, allow_subnormal=False), st.sampled_from([0.01, 0.02, 0.05, 0.1]))
def test_every_larger_set_proves_the_bound_too(share: float, bound: float):
    rate = share * bound
    needed = photos_needed(rate, bound)
    assert needed is not None
    for n in range(needed, needed + 400, 7):
        assert disagreement_bound(int(rate * n), n) <= bound + 1e-12
    assert disagreement_bound(int(rate * (needed - 1)), needed - 1) > bound


def test_a_rate_at_the_bound_is_proved_by_no_number():
    assert photos_needed(0.02, 0.02) is None and photos_needed(0.5, 0.02) is None


def test_bounds_are_exact():
    for disagreeing, n in ((0, 149), (3, 100), (50, 100)):
        assert binom.cdf(disagreeing, n, disagreement_bound(disagreeing, n)) == pytest.approx(0.05)
    assert 1 - binom.cdf(2, 100, disagreement_floor(3, 100)) == pytest.approx(0.05)
    assert disagreement_floor(0, 10) == 0 and disagreement_bound(10, 10) == 1


def test_the_baseline_agrees_with_itself_wholly():
    found = boxes(40, least=0.05)
    agreement = detection_agreement(found, found, CATEGORIES, range(40))
    assert agreement.pseudo_map == Ratio(1.0, 1.0, 1.0, 40)
    assert [each.value for each in agreement.f1.values()] == [1.0, 1.0]
    assert (agreement.shift.score_worst, agreement.shift.iou_worst) == (0.0, 1.0) and not agreement.disagreeing
    labels = sum(int((rows[:, 4] >= PSEUDO_LABEL_SCORE).sum()) for rows in found.values())
    assert agreement.shift.pairs == labels


def test_each_kind_of_damage_costs_agreement():
    baseline = boxes(60)
    agreement = {}
    lost = {photo: rows[:-1] if photo % 3 == 0 else rows for photo, rows in baseline.items()}
    moved = {photo: rows + np.array([20, 0, 20, 0, 0, 0]) for photo, rows in baseline.items()}
    relabelled = {photo: np.where(np.arange(6) == 5, 1 - rows, rows) for photo, rows in baseline.items()}
    extra = {photo: np.concatenate([rows, [[900, 900, 990, 990, 0.99, 0]]]) for photo, rows in baseline.items()}
    unreadable = {photo: np.full_like(rows, np.nan) for photo, rows in baseline.items()}
    for name, found in (
        ("lost", lost), ("moved", moved), ("relabelled", relabelled), ("extra", extra), ("unreadable", unreadable),
    ):  # fmt: skip
        agreement[name] = detection_agreement(found, baseline, CATEGORIES, range(60))
        assert agreement[name].pseudo_map.value < 0.98, name
        assert agreement[name].f1[0.75].value < 0.98, name
    assert set(agreement["lost"].disagreeing) == set(range(0, 60, 3))
    assert (
        agreement["moved"].shift.iou_mean < 0.8 and agreement["moved"].f1[0.5].value > agreement["moved"].f1[0.75].value
    )
    assert agreement["unreadable"].pseudo_map.value == 0


def test_a_shift_of_scores_alone_is_told_as_one():
    baseline = boxes(20, least=0.5)
    weaker = {photo: rows - np.array([0, 0, 0, 0, 0.1, 0]) for photo, rows in baseline.items()}
    agreement = detection_agreement(weaker, baseline, CATEGORIES, range(20))
    assert agreement.pseudo_map.value == pytest.approx(1.0)
    assert agreement.shift.score_mean == pytest.approx(0.1) and agreement.shift.iou_worst == pytest.approx(1.0)


def test_pairs_are_of_one_class_and_each_box_has_one_partner():
    ours = np.array([[0, 0, 10, 10, 0.9, 0], [1, 0, 11, 10, 0.8, 0], [50, 50, 60, 60, 0.7, 1]], float)
    theirs = np.array([[0, 0, 10, 10, 0.9, 0], [50, 50, 60, 60, 0.7, 0]], float)
    assert matched_pairs(ours, theirs) == [(0, 0, 1.0)]
    assert matched_pairs(ours, np.empty((0, 6))) == []


def test_a_baseline_that_sees_nothing_is_refused():
    faint = {0: np.array([[0, 0, 10, 10, 0.1, 0]])}
    with pytest.raises(BenchError, match="finds nothing"):
        detection_agreement(faint, faint, CATEGORIES, [0])


def test_photos_of_a_burst_are_drawn_together():
    weights = image_weights(6, 50, 0, [4, 4, 4, 1, 2, 2])
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 1] == weights[:, 2]).all()
    assert (weights[:, 4] == weights[:, 5]).all() and not (weights[:, 0] == weights[:, 3]).all()
    np.testing.assert_array_equal(image_weights(6, 50, 0, range(6)), image_weights(6, 50, 0))


def test_bursts_widen_the_interval():
    baseline = boxes(120)
    lost = {photo: rows[:-1] if photo < 24 else rows for photo, rows in baseline.items()}
    alone = detection_agreement(lost, baseline, CATEGORIES, range(120)).pseudo_map
    together = detection_agreement(lost, baseline, CATEGORIES, np.arange(120) // 12).pseudo_map
    assert together.value == alone.value
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def embeddings(flipped: int, n: int = 200) -> tuple[Embeddings, Embeddings]:
    """Two engines of which the one answers `flipped` of `n` photos otherwise than the other."""
    texts = np.eye(4)
    images = texts[np.arange(n) % 4] + 0.1
    other = images.copy()
    other[:flipped] = np.roll(other[:flipped], 1, axis=1)
    return Embeddings(other, texts), Embeddings(images, texts)


def test_scenes_are_decided_by_exact_bounds():
    for n, decided in ((148, False), (149, True)):
        _, ratio = scene_agreement(*embeddings(0, n), range(n))
        assert ratio.value == 1.0 and bool(undecided_scenes(ratio, 0.02)) != decided
    _, ratio = scene_agreement(*embeddings(1, 200), range(200))
    assert "at this rate 236 decide" in undecided_scenes(ratio, 0.02)
    _, ratio = scene_agreement(*embeddings(40, 200), range(200))
    assert ratio.value == 0.8 and not undecided_scenes(ratio, 0.02) and ratio.high < 0.98
    _, ratio = scene_agreement(*embeddings(5, 200), range(200))
    assert "no number proves it" in undecided_scenes(ratio, 0.02)


def test_a_burst_is_one_witness():
    _, ratio = scene_agreement(*embeddings(0, 200), np.arange(200) // 4)
    assert ratio.n_images == 50 and "50 photos or bursts do not decide" in undecided_scenes(ratio, 0.02)
    assert "149 decide" in undecided_scenes(ratio, 0.02)


def test_flips_have_their_margins():
    score, _ = scene_agreement(*embeddings(3), range(200))
    assert len(score.flips) == 3 and all(flip.margin > 0 for flip in score.flips)


def test_boxes_are_decided_from_500_photos_on_or_where_the_loss_is_plain():
    baseline = boxes(60)
    same = detection_agreement(baseline, baseline, CATEGORIES, range(60))
    assert "60 photos or bursts do not decide on boxes: 500 are needed" in undecided_boxes(same, 0.02)
    lost = {photo: rows[:1] for photo, rows in baseline.items()}
    assert undecided_boxes(detection_agreement(lost, baseline, CATEGORIES, range(60)), 0.02) == ""
    # Of one box each: photos are counted, and not what is in them.
    many = {photo: rows[:1] for photo, rows in boxes(500).items()}
    assert undecided_boxes(detection_agreement(many, many, CATEGORIES, range(500)), 0.02) == ""
