import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports.history.change_points import Steps, find_steps
from reports.history.segmentation import _costs, night_weights, partition, t_quantile

LEAST = 0.03
NIGHTS = 60


def _noise(seed: int, sigma: float = 0.007) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, NIGHTS)


def _find(logs: np.ndarray) -> Steps:
    return find_steps(np.exp(logs).tolist(), least=LEAST)


def _confirmed(logs: np.ndarray) -> list:
    return [step for step in _find(logs).steps if step.confirmed]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("sign", [1, -1])
def test_five_percent_are_confirmed_on_the_third_night_and_not_before(seed: int, sign: int) -> None:
    logs = _noise(seed, 0.005)
    logs[40:] += sign * np.log(1.05)
    assert not _confirmed(logs[:41]) and not _confirmed(logs[:42])
    (step,) = _confirmed(logs[:43])
    assert (step.last_good, step.first_bad, step.nights, step.up) == (39, 40, 3, sign > 0)


def test_the_interval_of_a_step_holds_the_true_size_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        logs = _noise(seed, 0.005)
        logs[40:] += np.log(1.05)
        (step,) = _confirmed(logs[:48])
        held += step.low < 1.05 < step.high
    assert held >= 52  # 95 % of 60 is 57; fewer than 52 has a chance below 1 %


@pytest.mark.parametrize("night", range(15, 60))
def test_one_wild_night_never_alarms_whenever_it_comes(night: int) -> None:
    logs = _noise(night)
    logs[night] += 0.4
    assert not any(_confirmed(logs[:end]) for end in range(night + 1, NIGHTS + 1))


def test_the_newest_bad_night_is_unclear_and_says_why() -> None:
    logs = _noise(1)[:40]
    logs[-1] += 0.2
    (step,) = _find(logs).steps
    assert not step.confirmed and step.first_bad == 39 and step.why.startswith("1 night only")


def test_two_wild_nights_do_not_make_the_return_a_step() -> None:
    logs = _noise(2)
    logs[[41, 42]] += (0.26, 0.31)
    assert not any(_confirmed(logs[:end]) for end in range(43, 50))


def test_a_drift_is_no_step_and_is_said() -> None:
    logs = _noise(3, 0.004) + np.linspace(0, 0.10, NIGHTS)
    found = _find(logs)
    assert not any(step.confirmed for step in found.steps)
    assert found.drifts and found.drifts[0].change == pytest.approx(np.exp(0.10), abs=0.02)


def test_a_step_is_no_drift() -> None:
    logs = _noise(4)
    logs[30:] += 0.08
    found = _find(logs)
    assert not found.drifts and [step.first_bad for step in found.steps] == [30]


def test_nights_without_a_figure_keep_their_places() -> None:
    logs = _noise(5, 0.004)
    logs[40:] += 0.06
    values = [None if night in (12, 39, 41) else float(np.exp(log)) for night, log in enumerate(logs)]
    (step,) = find_steps(values[:44], least=LEAST).steps
    assert (step.last_good, step.first_bad, step.nights, step.confirmed) == (38, 40, 3, True)


def test_a_step_below_what_is_of_interest_is_not_confirmed() -> None:
    logs = _noise(6, 0.001)
    logs[40:] += 0.02
    (step,) = _find(logs).steps
    assert not step.confirmed and step.why == "smaller than what is of interest"


def test_a_noisy_history_answers_unclear_where_a_quiet_one_alarms() -> None:
    for sigma, sure in ((0.005, True), (0.04, False)):
        logs = _noise(7, sigma)
        logs[57:] += 0.06
        assert bool(_confirmed(logs)) is sure


def test_a_figure_that_repeats_exactly_needs_no_noise_to_step() -> None:
    values = [6_500_000.0] * 20 + [7_000_000.0] * 3
    (step,) = find_steps(values, least=0.05).steps
    assert step.confirmed and step.change == pytest.approx(70 / 65)


def test_a_difference_scale_takes_zero() -> None:
    values = [0.99] * 20 + [0.0] * 3
    (step,) = find_steps(values, least=0.005, log=False).steps
    assert step.confirmed and step.change == pytest.approx(-0.99)
    with pytest.raises(ValueError, match="positive"):
        find_steps(values, least=0.005)


def test_a_badly_measured_night_weighs_less() -> None:
    y = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    weights = night_weights([0.0, 0.0, 9.0, 9.0, 9.0], np.arange(5), 0.1)
    _, medians = partition(y, weights, 10.0)
    assert medians[0, 4] == 0.0


def test_too_few_nights_confirm_nothing() -> None:
    assert find_steps([], least=LEAST).steps == ()
    assert not any(step.confirmed for step in find_steps([1.0] * 5 + [2.0] * 4, least=LEAST).steps)


# The far tails at few degrees of freedom are where an expansion about the normal quantile is 9 to 27 % too small.
@pytest.mark.parametrize(
    ("probability", "freedom", "exact"),
    [(0.975, 5, 2.5706), (0.975, 30, 2.0423), (0.9995, 5, 6.8688), (0.9999, 5, 9.6776), (0.99995, 5, 11.178)],
)
def test_the_t_quantile_is_that_of_the_tables(probability: float, freedom: int, exact: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(exact, rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=25), st.floats(0.01, 100))
@example([1.0, 1.0, 1.0, 2.0, 1.0, 2.0, 2.0, 2.0, 2.0], 5.0)  # two partitions, equally good
def test_another_unit_changes_no_step(values: list[float], unit: float) -> None:
    one, other = (find_steps([value * by for value in values], least=LEAST) for by in (1.0, unit))
    assert [level.first for level in one.levels] == [level.first for level in other.levels]


def test_the_noise_table_is_of_measured_ratios_about_one() -> None:
    with (Path(__file__).parent.parent / "data" / "night_noise.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    for source in {row["source"] for row in rows}:
        ratios = [float(row["ratio"]) for row in rows if row["source"] == source]
        assert len(ratios) >= 60 and np.median(ratios) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("nights", [1, 2, 7, 40])
@pytest.mark.parametrize("digits", [2, 6])  # two digits give many nights that are exactly alike
def test_every_piece_costs_its_weighted_distances_to_its_weighted_median(nights: int, digits: int) -> None:
    rng = np.random.default_rng(nights)
    y, weights = 3 + rng.normal(0, 0.01, nights).round(digits), rng.uniform(0.2, 1, nights)
    cost, median = _costs(y, weights)
    for left in range(nights):
        for right in range(left, nights):
            piece, weight = y[left : right + 1], weights[left : right + 1]
            least = min(float(weight @ np.abs(piece - each)) for each in piece)
            assert cost[left, right] == pytest.approx(least, abs=1e-12)
            assert weight @ np.abs(piece - median[left, right]) == pytest.approx(least, abs=1e-12)
