import pytest

from fixtures.accuracy.plausibility import implausible_map, implausible_top1


@pytest.mark.parametrize(
    ("baseline", "recorded", "implausible"),
    [
        (0.0, None, True),
        (0.049, None, True),
        (0.05, None, False),
        (0.06, 0.7, True),
        (0.08, 0.7, False),
        (0.4, 0.37, False),
    ],
)
def test_a_baseline_far_below_its_record_is_none(baseline: float, recorded: float | None, implausible: bool):
    assert bool(implausible_map(baseline, recorded)) is implausible


@pytest.mark.parametrize(
    ("right", "images", "classes", "implausible"),
    [
        (0, 1, 80, False),  # nobody knows
        (0, 22, 80, False),
        (0, 100, 80, True),
        (6, 512, 80, True),  # guessing
        (60, 512, 80, False),
        (100, 200, 2, False),  # 50 %, and perhaps 57
        (90, 512, 2, True),
    ],
)
def test_answers_that_are_certainly_guesses_are_no_baseline(right: int, images: int, classes: int, implausible: bool):
    assert bool(implausible_top1(right, images, classes)) is implausible
