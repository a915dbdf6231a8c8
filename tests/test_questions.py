"""What an answer says of a reading that cannot be, and of the second clock's own window."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.card import Watched
from fixtures.instruments.card_state import Card, CardState, summarise
from fixtures.instruments.sampler import SamplerSettings, Sampling
from fixtures.instruments.statistics import Interval
from fixtures.questions import speed

LOADED: Any = SimpleNamespace(case=SimpleNamespace(batch=8), artifact=SimpleNamespace(sha256="e4c9"))
QUIET = summarise([], Card("NVIDIA H200", "GPU-1", "580.65", 1980, 3201, 700.0), {1}, None)
SAMPLING = Sampling((0.002,) * 100, 0.5, 20, True, "interval", Interval(0.0019, 0.0021))
EVENTS, HOST = (SimpleNamespace(name=name, quantity=what) for name, what in [("events", "device"), ("host", "latency")])


class _Workbench:
    """A card whose windows were of these states, and whose peak is `share` of the reading."""

    def __init__(self, share: float, *windows: tuple[CardState, int]) -> None:
        self._share = share
        self._windows = iter(windows)

    def instruments(self, _: Any) -> tuple[Any, ...]:
        return (EVENTS, HOST)

    def sample(self, _: Any, clock: Any, settings: SamplerSettings) -> Watched[Sampling]:
        state, retries = next(self._windows)
        return Watched(SAMPLING, state, retries)

    def card_values(self, _: Any, watched: Watched[Any], images_per_second: float) -> dict[str, Any]:
        assert images_per_second == pytest.approx(4000)
        return {"share_of_peak": self._share, "above_peak": self._share > 1, "throttled_retries": watched.retries}


def _ask(share: float, *windows: tuple[CardState, int]) -> Any:
    bench: Any = _Workbench(share, *windows)
    return speed(bench, LOADED, SamplerSettings())


def test_a_reading_above_the_cards_peak_closes_the_gate():
    assert not _ask(0.9, (QUIET, 0), (QUIET, 0)).failure
    failure = _ask(1.3, (QUIET, 0), (QUIET, 0)).failure
    assert failure == "4000 img/s is 1.30 of what this card can compute: the reading is broken, not fast"


def test_each_clock_has_the_state_and_the_repetitions_of_its_own_window():
    values = _ask(0.5, (QUIET, 0), (replace(QUIET, throttled=True, foreign="1 process"), 1)).values
    assert values["throttled_retries"] == 0
    second = values["end_to_end"]
    assert (second["card"]["throttled"], second["card"]["foreign"], second["throttled_retries"]) == (
        True, "1 process", 1,
    )  # fmt: skip
    assert second["quantity"] == "latency" and "samples_ms" not in second
