"""Is anything worse than in earlier nights? Asked last, of the whole session, where `--history` names a folder."""

import time

import pytest

pytestmark = pytest.mark.history


def test_nothing_became_worse(bench_run, report_samples):
    """Confirmed steps for the worse in speed, accuracy, build time or size, and cases that ran before and are gone."""
    start = time.perf_counter()
    worse = bench_run.check_history()
    report_samples([time.perf_counter() - start])
    assert not worse, "\n".join(worse)
