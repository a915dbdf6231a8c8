"""How long does the engine take to build and to load, and how large is it?"""

import pytest

pytestmark = pytest.mark.build


def test_build(result, check):
    """Seconds to build, bytes on disk, seconds from the file to the first answer; and is it what was asked for?"""
    check(result)
