"""Behind a server: what one, four and sixteen callers wait and get, and are the answers still the engine's?"""


def test_serving_speed(serving_result, check_serving):
    """A request with a known answer; then latency and images a second of a closed loop, client and server apart."""
    check_serving(serving_result)


def test_serving_accuracy(serving_result, check_serving):
    """The server's answers, judged as any engine's; NV-CLIP's by its own labels."""
    check_serving(serving_result)
