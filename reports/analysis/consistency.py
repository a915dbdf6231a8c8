"""What is wrong with an answer although it was recorded as given: its parts contradict each other."""

from collections.abc import Mapping
from typing import Protocol

from reports.record.results import Result, SpeedResult


class Answer(Protocol):
    """What is looked at of a stage (`reports.analysis.cases.StageRecord`)."""

    @property
    def outcome(self) -> str: ...

    @property
    def result(self) -> Result: ...


def engine_problems(answers: Mapping[str, Answer]) -> tuple[str, ...]:
    """What was built, timed and scored must be one file: their hashes are equal, or the case proves nothing."""
    hashes = {
        stage: answers[stage].result.engine_sha256
        for stage in ("build", "speed", "accuracy")
        if stage in answers and answers[stage].outcome in ("passed", "failed")
    }
    words = {"build": "built", "speed": "timed", "accuracy": "scored"}
    pairs = [("accuracy", "speed"), ("speed", "build")] if "speed" in hashes else [("accuracy", "build")]
    problems = []
    for later, earlier in pairs:
        if later in hashes and earlier in hashes and hashes[later] != hashes[earlier]:
            unknown = "" if hashes[later] and hashes[earlier] else " as far as recorded: one of their hashes is missing"
            problems.append(f"{words[later]} engine is not the {words[earlier]} engine{unknown}")
    return tuple(problems)


def reading_problems(answer: Answer | None, speed: SpeedResult) -> tuple[str, ...]:
    """A reading above what the card can compute missed some of the work: its case must have failed."""
    share = speed.share_of_peak
    if answer is None or answer.outcome != "passed" or share is None or share <= 1:
        return ()
    return (f"recorded as passed, but its reading is {share:.2f} of the card's peak: broken, not fast",)
