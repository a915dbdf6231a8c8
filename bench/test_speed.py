"""How many images a second does the engine answer, and how long does one call take?"""

import pytest

from fixtures.answers import end_to_end_values, speed_values

pytestmark = pytest.mark.speed


def test_speed(loaded, workbench, sampler_settings, replay, entry):
    """Device time on a card, end-to-end latency everywhere: from steady state until the median is known."""
    clock, *round_trips = workbench.instruments(loaded)
    watched = workbench.sample(loaded, clock, sampler_settings)
    entry.values |= speed_values(loaded, clock, watched.sampling)
    images_per_second = entry.values["images_per_second"]
    replay(watched.sampling.samples_s)
    entry.headline = f"{images_per_second:.1f} img/s"
    for round_trip in round_trips:
        sampling = workbench.sample(loaded, round_trip, sampler_settings).sampling
        entry.values |= end_to_end_values(loaded, round_trip, sampling)
    entry.values |= workbench.card_values(loaded, watched, images_per_second)
    assert not entry.values.get("above_peak"), (
        f"{images_per_second:.0f} img/s is {entry.values['share_of_peak']:.2f} of what this card can compute: "
        "the reading is broken, not fast"
    )
