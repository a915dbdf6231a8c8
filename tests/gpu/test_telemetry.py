"""Samples of a card summarised: clocks, throttling, temperature, power, memory, other processes."""

from dataclasses import replace

import msgspec
import pytest

from fixtures.gpu.telemetry import (
    REASONS,
    TRACE_POINTS,
    GpuSpec,
    Process,
    Sample,
    Trace,
    foreign_processes,
    reason_names,
    reason_shares,
    summarize,
    trace,
)
from reports.record.results import THROTTLED_SHARE, THROTTLING

IDLE, APPLICATION_CLOCKS, POWER_CAP, HW_SLOWDOWN = 0x1, 0x2, 0x4, 0x8
OURS = 100
CARD = GpuSpec("NVIDIA GeForce RTX 2080 Ti", "GPU-1", "580.65", 2100, 7000, 250.0)
BUSY = Sample(0.0, 1800, 6800, 0, 65, 230.0, 3 * 2**30, 98, (Process(OURS, 2**30),), 1.0)
MUTE = Sample(0.0, None, None, None, None, None, None, None, None, 0.1)


def window(*changes):
    """Samples 50 ms apart, each like `BUSY` but for its changes."""
    return [replace(BUSY, time_s=0.05 * place, **change) for place, change in enumerate(changes)]


def test_a_window_on_a_warming_card_is_summarised():
    samples = window(
        {"sm_clock_mhz": 1350, "temperature_c": 60, "reasons": IDLE, "power_w": 100.0},
        {"sm_clock_mhz": 1890, "temperature_c": 66},
        {"sm_clock_mhz": 1875, "temperature_c": 71, "memory_used_bytes": 4 * 2**30},
        {"sm_clock_mhz": 1860, "temperature_c": 70},
    )
    state = summarize(samples, CARD, {OURS}, memory_before_bytes=2**30)
    assert (state.samples, state.sm_clock_median_mhz, state.sm_clock_min_mhz, state.sm_clock_max_mhz) == (
        4, 1867.5, 1350, 1890,
    )  # fmt: skip
    assert state.sm_clock_share == pytest.approx(1867.5 / 2100)
    assert state.memory_clock_median_mhz == 6800
    assert (state.temperature_first_c, state.temperature_last_c, state.temperature_max_c) == (60, 70, 71)
    assert state.power_mean_w == pytest.approx((100 + 3 * 230) / 4)
    assert state.memory_peak_bytes == 3 * 2**30
    assert state.reasons == {"GpuIdle": 0.25}
    assert not state.throttled
    assert state.foreign == ""


def test_what_the_driver_does_not_tell_is_none_and_no_crash():
    state = summarize([MUTE] * 12, replace(CARD, sm_clock_max_mhz=None), {OURS}, None)
    told = {name: value for name, value in msgspec.structs.asdict(state).items() if value is not None}
    silent = (None,) * 12
    assert told.pop("trace") == Trace(seconds=(0.0,) * 12, sm_clock_mhz=silent, temperature_c=silent, power_w=silent)
    assert told == {"samples": 12, "reasons": {}, "throttled": False, "foreign": ""}


def test_a_trace_keeps_the_dips_and_the_heights_of_a_long_window():
    samples = window(*[{"sm_clock_mhz": 1800 + place % 2, "temperature_c": 40 + place // 10} for place in range(1000)])
    samples[500] = replace(samples[500], sm_clock_mhz=900, power_w=None)
    found = trace(samples)
    assert len(found.seconds) == len(found.sm_clock_mhz) == TRACE_POINTS
    assert found.seconds[0] == pytest.approx(0.5, abs=0.03) and found.seconds[-1] == pytest.approx(49.5, abs=0.05)
    assert list(found.seconds) == sorted(found.seconds)
    assert sorted(found.sm_clock_mhz)[:2] == [900, 1800]
    assert found.temperature_c[-1] == 139
    assert set(found.power_w) == {230.0}


def test_a_trace_of_nothing_is_empty():
    assert trace([]) == Trace()


def test_a_field_that_comes_and_goes_is_judged_where_it_is_told():
    samples = [MUTE, *window({"reasons": POWER_CAP}), MUTE]
    state = summarize(samples, CARD, {OURS}, None)
    assert state.reasons == {"SwPowerCap": 1.0}
    assert state.sm_clock_median_mhz == 1800


def test_an_empty_window_says_nothing():
    state = summarize([], CARD, {OURS}, 0)
    assert state.samples == 0 and state.sm_clock_median_mhz is None and not state.throttled


@pytest.mark.parametrize("bit", REASONS)
def test_only_heat_and_power_count_as_throttling(bit):
    state = summarize(window(*[{"reasons": bit}] * 10), CARD, {OURS}, None)
    assert state.reasons == {REASONS[bit]: 1.0}
    assert state.throttled == (REASONS[bit] in THROTTLING)


def test_the_names_of_throttling_are_names_of_bits():
    assert set(REASONS.values()) > THROTTLING


def test_the_bits_are_those_of_pynvml():
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    for bit, name in REASONS.items():
        # BoardLimit and Reliability have the older prefix alone, up to version 13.
        known = {getattr(pynvml, f"nvmlClocks{word}Reason{name}", bit) for word in ("Event", "Throttle")}
        assert known == {bit}, name


def test_one_sample_of_a_clock_change_is_not_throttling_but_two_in_the_shortest_window_are():
    lone = window({"reasons": HW_SLOWDOWN}, *[{}] * 9)
    assert 1 / len(lone) <= THROTTLED_SHARE
    assert not summarize(lone, CARD, {OURS}, None).throttled
    assert summarize(window(*[{"reasons": HW_SLOWDOWN}] * 2, *[{}] * 8), CARD, {OURS}, None).throttled


def test_reasons_that_take_turns_throttle_together():
    samples = window({"reasons": POWER_CAP}, {"reasons": HW_SLOWDOWN | APPLICATION_CLOCKS}, *[{}] * 17)
    state = summarize(samples, CARD, {OURS}, None)
    assert all(share <= THROTTLED_SHARE for share in state.reasons.values())
    assert state.throttled


def test_reasons_met_together_are_counted_each():
    samples = window({"reasons": POWER_CAP | APPLICATION_CLOCKS}, {"reasons": APPLICATION_CLOCKS}, {}, {})
    assert reason_shares(samples) == {"SwPowerCap": 0.25, "ApplicationsClocksSetting": 0.5}


def test_a_bit_of_a_newer_driver_is_named_by_its_value():
    assert reason_names(0x8004) == ("SwPowerCap", "unknown reason 0x8000")


def test_another_process_is_named_with_its_memory():
    samples = window({}, {"processes": (Process(OURS, 2**30), Process(7, 512 * 2**20), Process(9, None))})
    assert foreign_processes(samples, {OURS}) == (
        "2 processes beside ours computed on the card: 7 (512 MiB), 9"
    )  # fmt: skip


def test_our_own_processes_are_not_foreign():
    samples = window({"processes": (Process(OURS, None), Process(OURS + 1, None))})
    assert foreign_processes(samples, {OURS, OURS + 1}) == ""


def test_in_a_container_one_unknown_number_is_ours_and_the_others_are_not():
    alone = window(*[{"processes": (Process(645400, 2**20),)}] * 3)
    assert foreign_processes(alone, {OURS}) == ""
    shared = window({"processes": (Process(645400, None),)}, {"processes": (Process(645400, None), Process(8, None))})
    assert foreign_processes(shared, {OURS}) == "1 process beside ours computed on the card (numbered by the host)"
