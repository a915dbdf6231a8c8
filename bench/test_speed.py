"""How many images a second does the engine answer, and how long does one call take?"""

import pytest

pytestmark = pytest.mark.speed


def test_speed(result, check):
    """Device time on a GPU, end-to-end latency everywhere: from steady state until the median is known."""
    check(result)
