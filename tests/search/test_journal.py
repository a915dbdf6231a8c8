"""A search that is killed goes on: nothing is measured twice, and the answer is the same."""

import random
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from fixtures.errors import BenchError
from fixtures.search.answer import confirm_fastest
from fixtures.search.journal import Journal, Recorder, TimeIsUpError
from fixtures.search.points import Confirmation, Limits, Point
from fixtures.search.space import Configuration
from fixtures.search.strategy import explore
from tests.search.landscape import configuration, kept, measured, space

ASKED = {"model": "m", "weights": "w"}
LIMITS = Limits(budget=0.01)


class KilledError(BaseException):
    """Stands for SIGKILL: nothing of the search may catch it."""


class Meter:
    """Measures with the noise of a real clock; `dies_after` so many measurements the process is no more."""

    def __init__(self, seed: int, dies_after: int = 10_000) -> None:
        self._seed = seed
        self._left = dies_after
        self.count = 0

    def __call__(self, wanted: Configuration) -> Point:
        if self._left == 0:
            raise KilledError
        self._left -= 1
        self.count += 1
        point = measured(wanted)
        noise = random.Random(f"{self._seed} {wanted}").gauss(1, 0.05)
        assert point.milliseconds and point.images_per_second
        return msgspec.structs.replace(
            point, milliseconds=point.milliseconds * noise, images_per_second=point.images_per_second / noise
        )


def answer(path: Path, meter: Meter, limit_s: float = 0.0) -> tuple[list[Point], list[Confirmation]]:
    with Journal(path, ASKED) as journal:
        with suppress(TimeIsUpError):
            explore(space(), LIMITS, Recorder(journal, meter, limit_s))
        points = list(journal.points.values())
    confirmed = confirm_fastest(
        points, LIMITS, lambda each: Confirmation(configuration=each, seconds=1, kept=kept(1.0))
    )
    return points, confirmed


@pytest.mark.parametrize("limit_s", [0.0, 11.0])
def test_killed_at_ten_random_moments_and_resumed_the_answer_is_the_same(tmp_path: Path, limit_s: float):
    whole = Meter(seed=1)
    undisturbed = answer(tmp_path / "whole.jsonl", whole, limit_s)
    chance = random.Random(0)
    path, counts = tmp_path / "killed.jsonl", 0
    for _ in range(10):
        meter = Meter(seed=1, dies_after=chance.randrange(0, 3))
        try:
            answer(path, meter, limit_s)
        except KilledError:
            # What was being written when the process died.
            with path.open("ab") as file:
                file.write(path.read_bytes()[-chance.randrange(2, 200) : -1])
        counts += meter.count
    last = Meter(seed=1)
    assert answer(path, last, limit_s) == undisturbed
    assert counts + last.count == whole.count
    assert limit_s == 0 or whole.count == 11


def test_the_same_measurements_give_the_same_path(tmp_path: Path):
    first, second = (answer(tmp_path / name, Meter(seed=3))[0] for name in ("a.jsonl", "b.jsonl"))
    assert first == second
    assert first != answer(tmp_path / "c.jsonl", Meter(seed=4))[0]


def test_another_budget_measures_only_what_is_new(tmp_path: Path):
    answer(tmp_path / "journal.jsonl", Meter(seed=1))
    again = Meter(seed=1)
    with Journal(tmp_path / "journal.jsonl", ASKED) as journal:
        explore(space(), Limits(budget=0.02), Recorder(journal, again))
    assert again.count <= 4


def test_a_journal_of_another_search_is_refused_with_what_differs(tmp_path: Path):
    Journal(tmp_path / "journal.jsonl", ASKED).close()
    with pytest.raises(BenchError, match=r"of another search: weights differ \(weights: w there, other here\)"):
        Journal(tmp_path / "journal.jsonl", {**ASKED, "weights": "other"})


def test_a_damaged_line_is_refused_with_its_number(tmp_path: Path):
    with Journal(tmp_path / "journal.jsonl", ASKED) as journal:
        journal.append(measured(configuration("int8")))
    text = (tmp_path / "journal.jsonl").read_text().replace('"seconds":1.0', '"seconds":"long"')
    (tmp_path / "journal.jsonl").write_text(text)
    with pytest.raises(BenchError, match="line 2: no line of a search"):
        Journal(tmp_path / "journal.jsonl", ASKED)


def test_two_searches_do_not_write_one_journal(tmp_path: Path):
    with Journal(tmp_path / "journal.jsonl", ASKED), pytest.raises(BenchError, match="another search is writing"):
        Journal(tmp_path / "journal.jsonl", ASKED)


def test_a_journal_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal.jsonl", ASKED)
