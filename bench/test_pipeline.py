"""From photo to answer: how many photos a second, and are boxes and scenes still the baseline pipeline's?"""


def test_pipeline_speed(pipeline_result, check_pipeline):
    """Serial time of each stage, then photos a second in steady state while the stages overlap."""
    check_pipeline(pipeline_result)


def test_pipeline_accuracy(pipeline_result, check_pipeline):
    """mAP and zero-shot answers from the bytes on, as a share of the baseline pipeline's: under 1 - tolerance fails."""
    check_pipeline(pipeline_result)
