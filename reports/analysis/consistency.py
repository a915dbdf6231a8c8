"""What is wrong with an answer although it was recorded as given: its parts contradict each other."""

from collections.abc import Mapping

from reports.record.schema import Row


def engine_problems(answers: Mapping[str, Row]) -> tuple[str, ...]:
    """What was built, timed and scored must be one file: their hashes are equal, or the case proves nothing."""
    hashes = {
        question: answers[question]["values"].get("engine_sha256")
        for question in ("build", "speed", "accuracy")
        if question in answers and answers[question]["outcome"] in ("passed", "failed")
    }
    words = {"build": "built", "speed": "timed", "accuracy": "scored"}
    pairs = [("accuracy", "speed"), ("speed", "build")] if "speed" in hashes else [("accuracy", "build")]
    problems = []
    for one, other in pairs:
        if one in hashes and other in hashes and hashes[one] != hashes[other]:
            unknown = "" if hashes[one] and hashes[other] else " as far as recorded: one of their hashes is missing"
            problems.append(f"{words[one]} engine is not the {words[other]} engine{unknown}")
    return tuple(problems)


def reading_problems(speed: Row | None, share_of_peak: float | None) -> tuple[str, ...]:
    """A reading above what the card can compute missed some of the work: its case must have failed."""
    if speed is None or speed["outcome"] != "passed" or share_of_peak is None or share_of_peak <= 1:
        return ()
    return (f"recorded as passed, but its reading is {share_of_peak:.2f} of the card's peak: broken, not fast",)
