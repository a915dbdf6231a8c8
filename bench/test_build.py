"""How long does the engine take to build and to load, and how large is it?"""

import pytest

from fixtures.answers import build_values

pytestmark = pytest.mark.build


def test_build(loaded, replay, entry):
    """Seconds to build, bytes on disk, seconds from the file to the first answer; and is it what was asked for?"""
    entry.values |= build_values(loaded)
    replay([loaded.artifact.build_seconds])
    entry.headline = f"{loaded.artifact.build_seconds:.2f} s, {loaded.artifact.size_bytes / 1e6:.1f} MB"
    assert loaded.artifact.size_bytes > 0
    shortfall = loaded.built.shortfall(loaded.case.precision)
    assert not shortfall, shortfall
