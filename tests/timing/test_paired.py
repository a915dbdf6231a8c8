"""Interleaved comparison on series with known answers: drifts, levels, tails, true differences and none."""

import gc
import math

import numpy as np
import pytest

from fixtures.timing.paired import AbbaSettings, compare, paired_ratio, verdict_of
from fixtures.timing.sampler import SamplerSettings
from fixtures.timing.statistics import Interval

QUICK = AbbaSettings(settle_s=0.0, max_measured_s=4.0, warmup=SamplerSettings(warmup_min_s=0.0, warmup_max_s=0.2))


class Machine:
    """A wall clock that only calls move, and a level (a factor of all durations) that may change with the time."""

    def __init__(self, level=lambda _: 1.0, spread=0.02, seed=0):
        self.level, self.spread = level, spread
        self.rng = np.random.default_rng(seed)
        self.now_s = 0.0
        self.order = []

    def clock(self):
        return self.now_s

    def instrument(self, name, duration_s, quantity="end-to-end latency"):
        return FakeInstrument(self, name, duration_s, quantity)


class FakeInstrument:
    def __init__(self, machine, name, duration_s, quantity):
        self.machine, self.name, self.duration_s, self.quantity = machine, name, duration_s, quantity
        self.batches_per_call = 1
        self.calls = []

    def timed_call(self, call):
        machine = self.machine
        self.calls.append(call)
        machine.order.append(self.name)
        taken_s = self.duration_s * machine.level(machine.now_s) * math.exp(machine.spread * machine.rng.normal())
        machine.now_s += taken_s
        return taken_s


def measured(machine, ratio=1.0, settings=QUICK):
    a, b = machine.instrument("A", 0.002), machine.instrument("B", 0.002 * ratio)
    return compare(a, b, settings, machine.clock)


def neighbours(seed, slower=1.6, mean_s=0.3):
    """The level of a machine whose neighbours come and go: `slower` while they are there."""
    changes_s = np.cumsum(np.random.default_rng(10_000 + seed).exponential(mean_s, 1000))
    return lambda now_s: slower if np.searchsorted(changes_s, now_s) % 2 else 1.0


# The verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.011, 1.2, "slower"),
        (1.0099, 1.2, "unclear"),
        (0.8, 0.9900, "faster"),
        (0.8, 0.9902, "unclear"),
        (0.995, 1.005, "same"),
        (0.9902, 1.0099, "same"),
        (1.002, 1.008, "same"),
        (0.98, 1.02, "unclear"),
    ],
)
def test_a_verdict_needs_the_whole_interval(low, high, verdict):
    assert verdict_of(Interval(low, high), 0.01) == verdict


def test_exchanging_the_sides_exchanges_faster_and_slower():
    opposite = {"faster": "slower", "slower": "faster", "same": "same", "unclear": "unclear"}
    for low, high in np.random.default_rng(0).uniform(0.97, 1.03, (200, 2)):
        interval = Interval(min(low, high), max(low, high))
        swapped = Interval(1 / interval.high, 1 / interval.low)
        assert verdict_of(swapped, 0.01) == opposite[verdict_of(interval, 0.01)]


# The ratio


def test_the_ratio_of_scaled_copies_is_their_factor():
    a_s = np.random.default_rng(0).lognormal(0, 0.3, (30, 8))
    found = paired_ratio(a_s, 1.25 * a_s)
    assert found.ratio == pytest.approx(1.25)
    assert found.early.low <= found.interval.low <= found.ratio <= found.interval.high <= found.early.high


@pytest.mark.parametrize("tail", [0.0, 0.1])
def test_the_interval_covers_the_true_ratio(tail):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        a_s, b_s = rng.lognormal(0, 0.1, (2, 40, 8)) * np.where(rng.random((2, 40, 8)) < tail, 5.0, 1.0)
        interval = paired_ratio(a_s, 1.05 * b_s).interval
        covered += interval.low <= 1.05 <= interval.high
    assert covered >= 180


def test_the_interval_covers_where_neighbouring_quadruples_are_alike():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        # What changes slowly here is the difference itself, as when one side suffers more from a neighbour.
        drift = np.zeros(150)
        for i in range(1, 150):
            drift[i] = 0.6 * drift[i - 1] + 0.05 * rng.normal()
        a_s, b_s = rng.lognormal(0, 0.02, (2, 150, 8))
        interval = paired_ratio(a_s, b_s * np.exp(drift)[:, None]).interval
        covered += interval.low <= 1.0 <= interval.high
    assert covered >= 170


def test_a_level_that_jumps_between_quadruples_does_not_touch_the_ratio():
    rng = np.random.default_rng(0)
    a_s, b_s = rng.lognormal(0, 0.02, (2, 60, 8))
    levels = rng.choice([1.0, 1.6, 4.0], 60)[:, None]
    still, moved = paired_ratio(a_s, b_s), paired_ratio(a_s * levels, b_s * levels)
    assert moved.ratio == pytest.approx(still.ratio)
    assert moved.interval.width == pytest.approx(still.interval.width)


def test_few_quadruples_give_their_whole_range():
    a_s = np.random.default_rng(0).lognormal(0, 0.3, (5, 4))
    found = paired_ratio(a_s, np.ones((5, 4)))
    assert found.interval == found.early == Interval(float(1 / a_s.max()), float(1 / a_s.min()))


@pytest.mark.parametrize(
    ("a_s", "b_s"),
    [
        (np.ones((1, 4)), np.ones((1, 4))),
        (np.ones((3, 4)), np.ones((4, 4))),
        (np.ones(4), np.ones(4)),
        (np.ones((3, 4)), np.zeros((3, 4))),
        (np.full((3, 4), math.nan), np.ones((3, 4))),
    ],
)
def test_what_has_no_ratio_is_refused(a_s, b_s):
    with pytest.raises(ValueError, match=r"quadruples|above zero"):
        paired_ratio(a_s, b_s)


# The sampling


def test_the_sides_alternate_and_calls_after_a_change_do_not_count():
    machine = Machine(spread=0.001)
    found = measured(machine)
    text = "".join(machine.order)
    start = text.index("BA", text.index("B")) + 1
    # One call to settle wherever the side changes, four calls a block.
    quadruple = "AAAA" + "B" + "BBBB" + "BBBB" + "A" + "AAAA"
    assert text[start:] == "A" + quadruple * len(found.a_s)
    assert found.a_s.shape == found.b_s.shape == (len(found.a_s), 8)


def test_every_side_rotates_through_its_inputs_without_a_gap():
    machine = Machine()
    a, b = machine.instrument("A", 0.002), machine.instrument("B", 0.002)
    compare(a, b, QUICK, machine.clock)
    assert a.calls == list(range(len(a.calls))) and b.calls == list(range(len(b.calls)))


def test_settling_lasts_as_long_as_asked_and_blocks_are_in_proportion():
    machine = Machine(spread=0.001)
    found = measured(machine, settings=AbbaSettings(settle_s=0.06, warmup=QUICK.warmup))
    # Half of 60 ms in calls of about 2 ms; two blocks a side.
    block = found.a_s.shape[1] // 2
    assert block in (15, 16)
    runs = "".join(machine.order[-400:]).replace("AB", "A B").replace("BA", "B A").split()[1:-1]
    # What settles is as long; the last block of a quadruple and the first of the next belong to one side.
    assert {len(part) - 2 * block for part in runs} <= {29, 30, 31}


def test_equal_engines_are_the_same_and_soon():
    found = measured(Machine())
    assert (found.verdict, found.attempts, found.steady) == ("same", 1, True)
    assert found.measured_s < QUICK.max_measured_s
    assert found.interval.width <= QUICK.relative_interval


@pytest.mark.parametrize(("ratio", "verdict"), [(1.05, "slower"), (0.95, "faster"), (3.0, "slower")])
def test_a_true_difference_is_found_with_its_size(ratio, verdict):
    found = measured(Machine(), ratio)
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(ratio, rel=0.01)


def test_a_drift_and_neighbours_are_paired_out():
    for seed, level in enumerate([lambda now_s: 1 + now_s / 2, neighbours(1), neighbours(2, slower=4.0)]):
        assert measured(Machine(level, seed=seed)).verdict == "same"
        found = measured(Machine(level, seed=seed), 1.05)
        assert found.verdict == "slower" and found.ratio == pytest.approx(1.05, abs=0.015)


def test_it_does_not_cry_wolf_on_a_noisy_machine(monkeypatch):
    # The garbage of the whole test session, fifty times, would take most of the time.
    monkeypatch.setattr(gc, "collect", lambda: 0)
    quick = AbbaSettings(settle_s=0.0, max_measured_s=1.0, warmup=QUICK.warmup)
    verdicts = [measured(Machine(neighbours(seed), 0.3, seed), settings=quick).verdict for seed in range(50)]
    assert sum(verdict in ("slower", "faster") for verdict in verdicts) <= 1


def test_a_difference_at_the_threshold_stays_unclear_and_is_measured_again():
    machine = Machine(spread=0.1)
    found = measured(machine, 1.0103, AbbaSettings(settle_s=0.0, max_measured_s=0.5, attempts=3, warmup=QUICK.warmup))
    assert (found.verdict, found.attempts) == ("unclear", 3)
    assert 1.0 < found.measured_s <= 1.5
    # The samples of all attempts count.
    assert np.sum(found.a_s) + np.sum(found.b_s) > 0.8 * found.measured_s


def test_another_attempt_may_make_it_clear():
    settings = AbbaSettings(settle_s=0.0, max_measured_s=0.5, attempts=20, warmup=QUICK.warmup)
    found = measured(Machine(spread=0.2), 1.04, settings)
    assert found.verdict == "slower" and 1 < found.attempts < 20


def test_an_engine_of_many_seconds_gives_no_false_certainty():
    machine = Machine(spread=0.01)
    a, b = machine.instrument("A", 5.0), machine.instrument("B", 5.0)
    found = compare(a, b, QUICK, machine.clock)
    assert len(found.a_s) <= 2 * QUICK.attempts and found.verdict == "unclear"


def test_a_side_that_never_settles_is_marked():
    machine = Machine(level=lambda now_s: 1.0 + int(now_s / 0.04) % 2)
    assert not measured(machine).steady


def test_device_time_is_not_compared_with_latency():
    machine = Machine()
    with pytest.raises(ValueError, match="device time cannot be compared with end-to-end latency"):
        compare(machine.instrument("A", 1.0, "device time"), machine.instrument("B", 1.0))


def test_a_broken_clock_is_refused():
    machine = Machine()
    with pytest.raises(ValueError, match="clock is broken"):
        measured(machine, math.nan)


def test_the_garbage_collector_rests_and_is_woken_again():
    seen = []
    machine = Machine(level=lambda _: seen.append(gc.isenabled()) or 1.0)
    assert gc.isenabled()
    measured(machine)
    assert gc.isenabled() and not any(seen)
