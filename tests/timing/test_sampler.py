"""The sampling rule on a fake clock: every way to start and every way to stop."""

import gc
import math

import numpy as np
import pytest

from fixtures.timing.sampler import SamplerSettings, sample


class FakeHost:
    """One host under several clocks: call i by clock k takes `duration_s(k, i, now_s)`; only calls move its time."""

    def __init__(self, duration_s):
        self.duration_s = duration_s
        self.now_s = 0.0
        self.calls = []

    def timed_call(self, which):
        def call(number):
            taken_s = self.duration_s(which, number, self.now_s)
            self.calls.append((which, number))
            self.now_s += taken_s
            return taken_s

        return call

    def clock(self):
        return self.now_s


def in_turns(duration_s, clocks=2, **settings):
    host = FakeHost(duration_s)
    timed_calls = [host.timed_call(which) for which in range(clocks)]
    return sample(timed_calls, SamplerSettings(**settings), clock=host.clock), host


def run(duration_s, **settings):
    """One clock, whose call i takes `duration_s(i)`."""
    (sampling,), host = in_turns(lambda _, number, __: duration_s(number), clocks=1, **settings)
    return sampling, host


def noisy(seed, level_s, spread):
    rng = np.random.default_rng(seed)
    return lambda _: level_s * math.exp(spread * rng.normal())


def test_a_quiet_engine_stops_as_soon_as_it_may():
    sampling, host = run(noisy(0, 0.002, 0.001))
    assert sampling.steady
    assert sampling.stop_reason == "interval"
    # 0.5 s of warm-up in windows of 20, then 0.5 s of samples.
    assert 0.5 <= sampling.warmup_s <= 0.6
    assert sampling.warmup_calls % 20 == 0
    assert 0.5 <= sum(sampling.samples_s) <= 0.51
    assert sampling.interval.width / np.median(sampling.samples_s) <= 0.005
    assert sampling.interval.low <= np.median(sampling.samples_s) <= sampling.interval.high
    assert host.calls == [(0, number) for number in range(sampling.warmup_calls + len(sampling.samples_s))]


def test_a_slow_quiet_engine_still_gives_a_hundred_samples():
    sampling, _ = run(noisy(0, 0.05, 0.001))
    assert sampling.stop_reason == "interval"
    assert len(sampling.samples_s) == 100


def test_a_noisy_engine_is_measured_until_the_interval_is_narrow():
    sampling, _ = run(noisy(0, 0.002, 0.10))
    assert sampling.stop_reason == "interval"
    # 4 x 1.2533 x 0.1 / 0.005 squared is about 10 000 samples.
    assert 3_000 < len(sampling.samples_s) < 30_000


@pytest.mark.parametrize("seed", range(10))
def test_noise_around_one_level_is_not_mistaken_for_a_plateau(seed):
    sampling, _ = run(noisy(seed, 0.004, 0.30))
    assert sampling.stop_reason == "time limit"


def test_a_drift_is_a_plateau():
    sampling, _ = run(lambda call: 0.002 * (1 + call / 5000))
    assert sampling.stop_reason == "plateau"
    assert sum(sampling.samples_s) < 10


def test_a_wandering_level_is_a_plateau():
    # A level that goes up and down over seconds, as clocks under a power limit do.
    sampling, _ = run(lambda call: 0.002 * (1 + 0.2 * math.sin(call / 1500)))
    assert sampling.stop_reason in ("plateau", "time limit")
    assert sampling.interval.width / np.median(sampling.samples_s) > 0.005


def test_no_series_is_measured_beyond_the_limit():
    sampling, host = run(noisy(0, 0.1, 0.5))
    assert sampling.stop_reason == "time limit"
    # The length of a call is foreseen from those before it: one may end a little late.
    assert host.now_s <= 10.0 + 30.0 + 0.5


def test_a_very_slow_call_keeps_both_limits():
    sampling, host = run(lambda _: 3.0)
    assert (sampling.warmup_calls, sampling.warmup_s) == (3, 9.0)
    assert not sampling.steady
    assert sampling.stop_reason == "time limit"
    assert len(sampling.samples_s) == 10
    assert host.now_s == pytest.approx(39.0)


def test_a_call_beyond_every_limit_is_still_sampled_three_times():
    sampling, _ = run(lambda _: 20.0)
    assert sampling.warmup_calls == 2
    assert sampling.samples_s == (20.0, 20.0, 20.0)
    assert sampling.stop_reason == "time limit"
    assert (sampling.interval.low, sampling.interval.high) == (20.0, 20.0)


def test_an_engine_that_warms_up_slowly_is_waited_for():
    # Twice as slow at first, level after about 2 s.
    sampling, _ = run(lambda call: 0.002 * (1 + math.exp(-call / 200)))
    assert sampling.steady
    assert sampling.warmup_s > 0.8
    assert max(sampling.samples_s) < 0.002 * 1.25


def test_an_engine_that_is_never_steady_is_measured_and_marked():
    # Alternates between two speeds every 20 calls, so that neighbouring windows never agree.
    sampling, _ = run(lambda call: 0.01 if call // 20 % 2 else 0.02)
    assert not sampling.steady
    assert 9.9 <= sampling.warmup_s <= 10.0
    assert len(sampling.samples_s) >= 100


def test_a_first_call_that_compiles_does_not_use_up_the_warm_up():
    sampling, _ = run(lambda call: 60.0 if call == 0 else 0.01)
    assert sampling.steady
    assert 60.5 <= sampling.warmup_s <= 61.0
    assert max(sampling.samples_s) == 0.01


def test_calls_too_slow_for_two_windows_are_steady_if_both_halves_agree():
    steady, _ = run(noisy(0, 0.6, 0.005))
    assert (steady.steady, steady.warmup_calls) == (True, 16)
    falling, _ = run(lambda call: 0.9 * 0.98**call)
    assert not falling.steady


def test_nothing_is_dropped():
    sampling, _ = run(lambda call: 1.0 if call % 50 == 49 else 0.01)
    assert sampling.samples_s.count(1.0) == len(sampling.samples_s) // 50


@pytest.mark.parametrize("duration_s", [math.nan, math.inf, -0.001])
def test_a_broken_clock_is_refused(duration_s):
    with pytest.raises(ValueError, match="clock is broken"):
        sample([lambda _: duration_s])


def test_the_garbage_collector_rests_and_is_woken_again():
    seen = []

    def timed_call(_):
        seen.append(gc.isenabled())
        return 0.01

    host = FakeHost(lambda _, number, __: timed_call(number))
    assert gc.isenabled()
    sample([host.timed_call(0)], clock=host.clock)
    assert gc.isenabled()
    assert not any(seen)
    with pytest.raises(ZeroDivisionError):
        sample([lambda _: 1 / 0])
    assert gc.isenabled()


def test_what_a_host_does_for_seconds_falls_upon_both_clocks_alike():
    rng = np.random.default_rng(0)

    def wander(which, _, now_s):
        effective_latency = 1 + 0.08 * math.sin(2 * math.pi * now_s / 2.7)
        return (0.002, 0.0024)[which] * effective_latency * math.exp(0.02 * rng.normal())

    (first, second), _ = in_turns(wander, max_measured_s=6)
    assert np.median(second.samples_s) / np.median(first.samples_s) == pytest.approx(1.2, rel=0.015)
    # One after the other, on the same host, they part.
    host = FakeHost(wander)
    alone = [sample([host.timed_call(k)], SamplerSettings(max_measured_s=0.8), clock=host.clock)[0] for k in (0, 1)]
    apart = np.median(alone[1].samples_s) / np.median(alone[0].samples_s)
    assert abs(apart / 1.2 - 1) > 0.03


def test_clocks_take_turns_of_a_tenth_of_a_second():
    _, host = in_turns(lambda *_: 0.001)
    measured = host.calls[host.calls.index((1, 0)) :]
    changes = [at for at in range(1, len(measured)) if measured[at][0] != measured[at - 1][0]]
    turns = np.diff(changes)[:-1]  # the last one ends when there is enough
    assert len(turns) >= 8 and set(turns) <= {100, 101}


def test_every_clock_counts_its_own_calls_without_a_gap():
    samplings, host = in_turns(lambda which, _, __: 0.003 - 0.001 * which)
    for which, sampling in enumerate(samplings):
        numbers = [number for clock, number in host.calls if clock == which]
        assert numbers == list(range(sampling.warmup_calls + len(sampling.samples_s)))
        assert sampling.stop_reason == "interval"


def test_a_later_clock_is_warm_from_the_first():
    (first, second), _ = in_turns(lambda *_: 0.002)
    assert 0.5 <= first.warmup_s <= 0.6 and 0.1 <= second.warmup_s <= 0.2


def test_a_later_clock_that_is_not_steady_is_waited_for():
    (_, second), _ = in_turns(lambda which, number, _: 0.002 * (1 + 3 * which * math.exp(-number / 100)))
    assert second.steady and second.warmup_s > 0.4


def test_the_time_limit_is_that_of_all_clocks_together():
    samplings, host = in_turns(lambda *_: 1.0, max_measured_s=12, warmup_max_s=2)
    assert [sampling.stop_reason for sampling in samplings] == ["time limit"] * 2
    assert [len(sampling.samples_s) for sampling in samplings] == [6, 6]
    assert host.now_s - sum(sampling.warmup_s for sampling in samplings) <= 12


def test_each_clock_has_its_fewest_samples_beyond_the_limit():
    samplings, _ = in_turns(lambda *_: 10.0, max_measured_s=12, warmup_max_s=2)
    assert [len(sampling.samples_s) for sampling in samplings] == [3, 3]


def test_a_clock_that_has_enough_leaves_the_time_to_the_other():
    rng = np.random.default_rng(1)
    (quiet, noisy_one), _ = in_turns(lambda which, *_: 0.002 * math.exp(which * 0.3 * rng.normal()), max_measured_s=4)
    assert quiet.stop_reason == "interval" and sum(quiet.samples_s) < 0.7
    assert sum(noisy_one.samples_s) > 2
