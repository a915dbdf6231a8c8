"""The scripts behind the promises run by hand, for minutes: a test sees that each can begin, and a bar fail."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.timing.paired import Comparison
from fixtures.timing.statistics import Interval
from tests.experiments import a_against_a, injected_slowdown, interruptions
from tests.helpers.rows import accuracy, build, case, speed

BARS = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if not path.name.startswith("test_"))


def comparison(verdict: Any, ratio: float) -> Comparison:
    """What a comparison of two engines came to."""
    times = np.ones((2, 2))
    return Comparison(verdict, ratio, Interval(ratio, ratio), times, times, attempts=1, measured_s=1.0, steady=True)


@pytest.mark.parametrize("name", BARS)
def test_every_script_begins(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All that it imports is there: a script that no test runs is the first to be forgotten when a name changes."""
    bar = importlib.import_module(f"tests.experiments.{name}")
    with pytest.raises(SystemExit) as left:
        bar.main(["--help"])
    assert left.value.code == 0 and "usage" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        bar.main(["--no-such-option"])
    assert left.value.code == 2


@pytest.mark.parametrize(
    ("found", "read", "passes"), [(19, 0.05, True), (18, 0.05, False), (20, 0.05, True), (20, 0.08, False)]
)
def test_a_slow_down_that_is_missed_or_misread_fails_its_bar(found: int, read: float, passes: bool) -> None:
    """95 % of 20 trials are 19; a size may be off by 1.5 points."""
    trials = [(comparison("slower" if n < found else "unclear", 1 + read), 0.05) for n in range(20)]
    assert injected_slowdown._report(0.05, 0.95, trials) is passes


@pytest.mark.parametrize(("slower", "status"), [(0, 0), (1, 0), (2, 1)])
def test_an_engine_that_is_called_slower_than_itself_twice_fails_the_bar(
    slower: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = iter(["slower"] * slower + ["same"] * (3 - slower))
    monkeypatch.setattr(a_against_a, "make_subject", lambda *_: Engineless())
    monkeypatch.setattr(a_against_a, "HostClock", lambda *_: None)
    monkeypatch.setattr(a_against_a, "compare", lambda *_: comparison(next(verdicts), 1.0))
    assert a_against_a.main(["--trials", "3"]) == status


class Engineless:
    """The subject of a trial that is not run."""

    batches = ()

    def load(self) -> None:
        """Nothing."""

    def settings(self, *_: float) -> None:
        """None."""


def test_an_answer_to_another_question_is_seen() -> None:
    one = case("onnxruntime", "fp32")
    right = {(one["id"], row["question"]): row for row in (build(one), speed(one, 1.0), accuracy(one, 1.0))}
    assert interruptions.foreign(right) == []
    shifted = {**right, (one["id"], "accuracy"): right[one["id"], "speed"]}
    assert interruptions.foreign(shifted) == [(one["id"], "accuracy")]
