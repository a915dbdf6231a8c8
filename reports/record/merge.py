"""The shards of one matrix as one record, whose report is that of one run.

A CI splits a matrix over runners that are alike (`--shard i/n`); each writes a record of its own. Only what one
run could have measured is put together: figures of two cards, drivers or versions are no matrix.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.errors import ReportError
from reports.record.machine import compatibility_facts, on_gpu
from reports.record.schema import BASELINE_BACKEND, BASELINE_PRECISION, PIPELINE_KIND, SERVING_KIND, EndRow, Row, Status
from reports.record.session import read_suite
from reports.record.store import last_session

# What may differ between shards: which part it is, and where things lie.
FREE = frozenset({"shard", "output", "engine_cache", "resume", "history"})
# Exit statuses, the harmless first; one that is not listed is the gravest. A shard without a cell that can run
# (5, pytest.ExitCode.NO_TESTS_COLLECTED) is no trouble as long as another shard had one: one run would not have
# noticed. Then the suite's own, then those with which pytest says that it did not come to its end (2, 4, 3).
GRAVITY = (5, Status.PASSED, Status.SLOWER, Status.CASE_LOST, Status.GATE_FAILED, 2, 4, 3)
# Of the differences between two shards that a message names.
MOST_NAMED = 4


@dataclass(frozen=True)
class _Shard:
    """The last session of a record, and which part of how many it is."""

    index: int
    of: int
    rows: Sequence[Row]

    @property
    def session(self) -> Row:
        return self.rows[0]

    @property
    def name(self) -> str:
        return f"shard {self.index}/{self.of} (session {self.session['session']})"

    @property
    def end(self) -> Row | None:
        """The end of this shard; None if it crashed, also where it crashed after an earlier end was resumed."""
        last = next(row for row in reversed(self.rows) if row["kind"] != "torn")
        return last if last["kind"] == "end" else None


def merge(records: Sequence[Sequence[Row]]) -> list[Row]:
    """The last sessions of these records, in any order, as the rows of one session.

    It is named and described as the first shard's; `settings["shards"]` lists the session of each shard. Rows
    stand in the order of the matrix where the settings list all of its parts by name, else in the order of the
    shards, then as they were written. The end has the seconds of all shards and the worst exit status, and is
    there only if every shard came to its end. Lines that a crash cut off are left out: what they were to tell is
    missing, or was told again when the shard was resumed.

    Raises `ReportError` where the records are not all the shards of one matrix, each once, or differ in what
    decides a figure: settings, commit, versions, weights, card and driver (on a CPU its name).
    """
    shards = _whole([_shard(number, rows) for number, rows in enumerate(records, start=1)])
    for shard in shards[1:]:
        _refuse_difference(shards[0], shard)
    first = shards[0].session
    name = first["session"]
    settings = {key: value for key, value in first["settings"].items() if key != "shard"}
    settings["shards"] = [shard.session["session"] for shard in shards]
    kinds = ("case", PIPELINE_KIND, SERVING_KIND, "resume")
    answers = [row for shard in shards for row in shard.rows if row["kind"] in kinds]
    rows: list[Row] = [{**first, "settings": settings}]
    rows += [{**row, "session": name} for row in sorted(answers, key=lambda row: _place(row, settings))]
    ends = [end for shard in shards if (end := shard.end)]
    if len(ends) == len(shards):
        seconds = sum(float(end["seconds"]) for end in ends)
        status = max((int(end["exit_status"]) for end in ends), key=_gravity)
        rows.append(EndRow(name, seconds, status, max(str(end["at"]) for end in ends)).to_dict())
    return rows


def _gravity(exit_status: int) -> int:
    return GRAVITY.index(exit_status) if exit_status in GRAVITY else len(GRAVITY)


def _place(row: Row, settings: Mapping[str, Any]) -> tuple[int, ...]:
    """Where a row's case comes in one run: model by model, the baseline first. Resumptions come before all."""
    if row["kind"] in (PIPELINE_KIND, SERVING_KIND):  # behind all cases, in the order in which they were measured
        return (len(settings.get("models") or ()),)
    parts = [("model", "models"), ("backend", "backends"), ("precision", "precisions"), ("batch", "batches")]
    if row["kind"] != "case" or not all(row["case"][part] in (settings.get(setting) or ()) for part, setting in parts):
        return ()
    model, *others = (list(settings[setting]).index(row["case"][part]) for part, setting in parts)
    baseline = (row["case"]["backend"], row["case"]["precision"]) == (BASELINE_BACKEND, BASELINE_PRECISION)
    return (model, not baseline, *others)


def _shard(number: int, record: Sequence[Row]) -> _Shard:
    rows = last_session(list(record))
    if not rows:
        raise ReportError(f"record {number} holds no session", hint="give the rows of a benchmark run, all of them")
    shard = rows[0]["settings"].get("shard")
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", str(shard))
    if not match or int(match[1]) > int(match[2]):
        raise ReportError(
            f"record {number} (session {rows[0]['session']}) is not a shard: its setting `shard` is {shard!r}",
            hint="give records of runs with `--shard i/n`; a run of the whole matrix needs no merging",
        )
    return _Shard(int(match[1]), int(match[2]), rows)


def _whole(shards: Sequence[_Shard]) -> list[_Shard]:
    """All the shards of one matrix, in order."""
    if not shards:
        raise ReportError("there are no records to merge", hint="give the record of each shard")
    first = shards[0]
    if other := next((shard for shard in shards if shard.of != first.of), None):
        raise ReportError(
            f"{first.name} and {other.name} are parts of two different matrices", hint="merge the shards of one matrix"
        )
    by_index: dict[int, _Shard] = {}
    for shard in shards:
        if twin := by_index.get(shard.index):
            raise ReportError(f"{twin.name} and {shard.name} are the same part", hint="give each shard once")
        by_index[shard.index] = shard
    wanted = range(1, first.of + 1)
    if missing := [f"{index}/{first.of}" for index in wanted if index not in by_index]:
        raise ReportError(
            f"of {first.of} shards {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            hint="give the record of every shard; one that crashed has a record, too, or is run again first",
        )
    return [by_index[index] for index in wanted]


def _refuse_difference(one: _Shard, other: _Shard) -> None:
    left, right = _facts(one.session), _facts(other.session)
    different = [name for name in dict.fromkeys([*left, *right]) if left.get(name) != right.get(name)]
    if different:
        facts = [f"{name} ({left.get(name)!r}, {right.get(name)!r})" for name in different]
        more = [f"{len(facts) - MOST_NAMED} more"] if len(facts) > MOST_NAMED else []
        raise ReportError(
            f"{one.name} and {other.name} differ in {', '.join([*facts[:MOST_NAMED], *more])}",
            hint="run the shards again with the same settings, on machines that are alike",
        )


def _facts(session: Row) -> dict[str, Any]:
    """What must be the same in all shards, by the name that a message gives it."""
    settings, environment, suite = session["settings"], session["environment"], session["suite"]
    facts = {f"setting {name}": value for name, value in settings.items() if name not in FREE}
    facts |= compatibility_facts(environment, on_gpu(session))
    facts["suite"] = suite.get("name")
    weights = {f"{name} weights": part.sha256 for name, part in read_suite(suite).items() if part.sha256}
    return facts | weights
