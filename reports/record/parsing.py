"""Figures out of the values of a record's rows, which anyone may have written: what is no figure is none."""

import math
from collections.abc import Mapping
from typing import Any

from reports.record.ratio import Latency


def number(values: Mapping[str, Any], key: str) -> float | None:
    """A finite number under this key, else None."""
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def latency(values: Mapping[str, Any]) -> Latency | None:
    """The latency that one clock found, with that clock's name; None where no median was recorded."""
    quantiles = values.get("latency_ms")
    if not isinstance(quantiles, dict) or (p50 := number(quantiles, "p50")) is None:
        return None
    low, high, p90, p95, p99 = (number(quantiles, key) for key in ("low", "high", "p90", "p95", "p99"))
    instrument = values.get("instrument")
    return Latency(p50, low, high, p90, p95, p99, None if instrument is None else str(instrument))


def launch(values: Mapping[str, Any]) -> Latency | None:
    """What the host took to launch a call, under the name of the instrument that timed the same calls on the card."""
    found = values.get("launch")
    return latency({**found, "instrument": values.get("instrument")}) if isinstance(found, dict) else None
