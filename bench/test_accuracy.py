"""Does the engine still see the same things as PyTorch in FP32?"""

import time

import pytest

from fixtures.answers import accuracy_values, not_judged_values

pytestmark = pytest.mark.accuracy


def test_accuracy(loaded, workbench, tolerance, replay, entry):
    """mAP or zero-shot answers, as a share of the baseline's: less than 1 - tolerance fails."""
    if not loaded.model.weights.trained:
        entry.values |= not_judged_values(loaded)
        pytest.skip("not judged: untrained weights")
    start = time.perf_counter()
    judgement = workbench.judge(loaded)
    replay([time.perf_counter() - start])
    entry.values |= accuracy_values(loaded, judgement, tolerance, workbench.calibration_size(loaded))
    gated = [metric for metric in judgement.metrics if metric.gated]
    worst = min(gated, key=lambda metric: metric.ratio.value)
    entry.headline = (
        f"{worst.name} {worst.ratio.value:.4f} [{worst.ratio.low:.4f}, {worst.ratio.high:.4f}] of the baseline"
    )
    failures = judgement.failures(tolerance)
    assert not failures, "; ".join(failures)
