"""The gate: what passes, what does not, and when that is certain."""

import math

import pytest

from fixtures.accuracy.bootstrap import Ratio
from fixtures.accuracy.gate import check_tolerance, gate, is_certain
from fixtures.errors import BenchError
from reports.record.schema import reaches


@pytest.mark.parametrize("tolerance", [0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.3, 0.9])
def test_exactly_the_tolerance_passes_and_a_little_more_does_not(tolerance):
    for scale in (1.0, 0.468, 0.1, 3.0):
        assert gate((scale * (1 - tolerance)) / scale, tolerance)
    assert not gate(1 - tolerance - 1e-6, tolerance)


def test_the_page_draws_the_line_where_the_gate_does():
    for right in range(1, 60):
        for images in range(right, 60):
            ratio = (right / 60) / (images / 60)
            assert gate(ratio, 0.02) == reaches(ratio, 1 - 0.02)
    assert not gate(float("nan"), 0.02) and not reaches(float("nan"), 0.98)


def test_the_gate_fails_what_is_worse_and_passes_what_is_better():
    assert gate(0.98, 0.02)
    assert gate(1.01, 0.02)
    assert not gate(0.9799, 0.02)
    assert not gate(0.0, 0.02)
    assert not gate(math.nan, 0.02)


@pytest.mark.parametrize("tolerance", [-0.01, 1.0, 2, math.nan, math.inf, "0.02", None])
def test_a_tolerance_out_of_range_is_refused(tolerance):
    with pytest.raises(BenchError, match="not a share"):
        check_tolerance(tolerance)
    with pytest.raises(BenchError, match="not a share"):
        gate(1.0, tolerance)


def test_a_small_set_says_so():
    small, large = Ratio(0.99, 0.95, 1.02, 30), Ratio(0.99, 0.985, 0.995, 5000)
    assert gate(small.value, 0.02) and not is_certain(small, 0.02)
    assert gate(large.value, 0.02) and is_certain(large, 0.02)


def test_a_failure_can_be_certain_too():
    assert is_certain(Ratio(0.80, 0.70, 0.90, 30), 0.02)
    assert not is_certain(Ratio(0.97, 0.95, 0.99, 30), 0.02)
