"""How many images a second does the engine answer, and how long does one call take?"""

import pytest

from fixtures.answers import speed_values
from fixtures.instruments.sampler import sample

pytestmark = pytest.mark.speed


def test_speed(loaded, workbench, sampler_settings, replay, entry):
    """End-to-end latency of synchronised calls, from steady state until the median is known."""
    instrument = workbench.instrument(loaded)
    sampling = sample(instrument.timed_call, sampler_settings)
    entry.values |= speed_values(loaded, instrument, sampling)
    replay(sampling.samples_s)
    entry.headline = f"{entry.values['images_per_second']:.1f} img/s"
