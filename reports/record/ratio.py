"""Ratios of measured figures, and how certain they are."""

import math
from collections.abc import Sequence

from reports.record.results import Latency, Ratio


def speed_ratio(latency: Latency, reference: Latency) -> Ratio | None:
    """How many times faster `latency` is than `reference`: the ratio of the medians, with a 95 % interval.

    Both intervals are of medians measured independently of each other, so their relative half-widths are
    added in quadrature (first-order error propagation for a quotient), each side with the half-widths
    that push it that way. None where host-clock and device times would be mixed.
    """
    if latency.instrument != reference.instrument or latency.p50_ms <= 0 or reference.p50_ms <= 0:
        return None
    value = reference.p50_ms / latency.p50_ms
    ends = (latency.low_ms, latency.high_ms, reference.low_ms, reference.high_ms)
    if any(end is None for end in ends):
        return Ratio(value, None, None)
    low_ms, high_ms, reference_low_ms, reference_high_ms = (float(end or 0.0) for end in ends)
    shorter, longer = 1 - low_ms / latency.p50_ms, high_ms / latency.p50_ms - 1
    reference_shorter = 1 - reference_low_ms / reference.p50_ms
    reference_longer = reference_high_ms / reference.p50_ms - 1
    down, up = math.hypot(longer, reference_shorter), math.hypot(shorter, reference_longer)
    return Ratio(value, max(0.0, value * (1 - down)), value * (1 + up))


def summed(latencies: Sequence[Latency]) -> Latency:
    """The sum of medians measured independently of each other: their half-widths are added in quadrature.

    `instrument` is None where it is not the same for all.
    """
    p50_ms = sum(each.p50_ms for each in latencies)
    lows, highs = [each.low_ms for each in latencies], [each.high_ms for each in latencies]
    low_ms = high_ms = None
    if None not in lows and None not in highs:
        low_ms = p50_ms - math.hypot(*(each.p50_ms - (each.low_ms or 0.0) for each in latencies))
        high_ms = p50_ms + math.hypot(*((each.high_ms or 0.0) - each.p50_ms for each in latencies))
    instruments = {each.instrument for each in latencies}
    return Latency(p50_ms, low_ms, high_ms, None, None, None, instruments.pop() if len(instruments) == 1 else None)
