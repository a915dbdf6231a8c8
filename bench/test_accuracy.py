"""Does the engine still see the same things as PyTorch in FP32?"""

import pytest

pytestmark = pytest.mark.accuracy


def test_accuracy(result, check):
    """mAP or zero-shot answers, as a share of the baseline's: less than 1 - tolerance fails."""
    check(result)
