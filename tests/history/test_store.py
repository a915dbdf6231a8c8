import json
import re
from pathlib import Path

import numpy as np
import pytest

from reports.errors import ReportError
from reports.history.regressions import verdicts
from reports.history.session_regressions import sentence
from reports.history.store import SUFFIX, append, file_name, load
from tests.helpers.rows import FAST, accuracy, build, card_speed, case, night, row, session_row, speed


def _history(folder: Path, slow_from: int, nights: int = 30, **last: str) -> None:
    rng = np.random.default_rng(0)
    for number in range(nights):
        p50 = 2.0 * float(np.exp(rng.normal(0, 0.004))) * (1.06 if number >= slow_from else 1.0)
        append(folder, night(number, build(FAST), card_speed(FAST, p50), **(last if number >= slow_from else {})))


def test_a_file_is_named_by_card_and_driver_with_safe_characters() -> None:
    assert file_name("NVIDIA H200", "580.95.05") == f"nvidia-h200--580.95.05{SUFFIX}"
    assert file_name("AMD EPYC/../x", "") == f"amd-epyc-..-x--unknown{SUFFIX}"


def test_a_session_comes_back_as_lines_of_a_frame(tmp_path: Path) -> None:
    append(tmp_path, night(0, build(FAST), card_speed(FAST, 2.0), accuracy(FAST, 0.99)))
    (line,) = load(tmp_path).to_dict("records")
    assert (line["device"], line["session"], line["case"], line["commit"]) == ("NVIDIA H200", "s000", FAST["id"], "c0")
    assert (line["device_p50_ms"], line["end_to_end_p50_ms"], line["size_bytes"]) == (2.0, 2.5, 6_500_000)
    assert line["environment"]["driver"] == "580.1" and line["environment"]["torch"] == "2.15.0"
    assert line["accuracy_ratio"] == pytest.approx(0.99) and line["trusted_speed"]


def test_the_same_session_twice_changes_no_byte_and_a_resumed_one_adds_its_rest(tmp_path: Path) -> None:
    path = append(tmp_path, night(0))
    before = path.read_bytes()
    append(tmp_path, night(0))
    assert path.read_bytes() == before
    other = case("pytorch", "fp32")
    append(tmp_path, night(0, build(FAST), card_speed(FAST, 2.0), build(other), card_speed(other, 4.0)))
    assert path.read_bytes().startswith(before) and len(load(tmp_path)) == 2


@pytest.mark.parametrize(("keep", "line"), [(-20, 7), (-1, 7), (0.5, 5), (30, 1)])
def test_a_torn_file_is_set_aside_with_all_that_is_left_and_never_overwritten(
    tmp_path: Path, keep: float, line: int
) -> None:
    """At the very end, by the last line's end alone, in the middle, in the head: what is gone may be whole nights."""
    for number in range(3):
        path = append(tmp_path, night(number))
    whole = path.read_bytes()
    torn = whole[: int(len(whole) * keep) if isinstance(keep, float) else int(keep)]
    path.write_bytes(torn)
    with pytest.raises(ReportError, match=f"line {line}: cut off"):
        load(tmp_path)
    assert path.read_bytes() == torn
    with pytest.raises(ReportError, match=f"line {line}: cut off; it is now .*set-aside-1"):
        append(tmp_path, night(3))
    assert not path.exists() and path.with_name(f"{path.name}.set-aside-1").read_bytes() == torn


@pytest.mark.parametrize("content", [b"", b"mine\n", b'{"kind": "session"}\n', b'{"kind": "history", "schema": 9}\n'])
def test_a_foreign_file_is_set_aside_and_never_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / file_name("NVIDIA H200", "580.1")
    for count in (1, 2):
        path.write_bytes(content)
        with pytest.raises(ReportError, match=f"set-aside-{count}"):
            append(tmp_path, night(0))
        assert path.with_name(f"{path.name}.set-aside-{count}").read_bytes() == content
    append(tmp_path, night(0))
    assert len(load(tmp_path)) == 1


def test_a_line_that_is_damaged_in_the_middle_is_told_by_load_which_renames_nothing(tmp_path: Path) -> None:
    path = append(tmp_path, night(0))
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:10], *lines[2:]]))
    with pytest.raises(ReportError, match="line 2"):
        load(tmp_path)
    assert path.exists()


def test_an_empty_folder_is_an_empty_history(tmp_path: Path) -> None:
    assert load(tmp_path / "none").empty and verdicts(load(tmp_path)) == []


@pytest.mark.parametrize(
    ("answers", "trusted", "trusted_speed"),
    [
        ((build(FAST), card_speed(FAST, 2.0, steady=False)), True, False),
        ((build(FAST), card_speed(FAST, 2.0, state={"throttled": True})), True, False),
        ((build(FAST), card_speed(FAST, 2.0, engine="another")), False, False),
        ((build(FAST), row(FAST, "speed", outcome="error", reason="it crashed")), False, False),
        ((row(FAST, "matrix", outcome="skipped", reason="no card"),), False, False),
    ],
)
def test_what_is_not_to_be_trusted_is_kept_as_such(
    tmp_path: Path, answers: tuple[dict, ...], trusted: bool, trusted_speed: bool
) -> None:
    append(tmp_path, night(0, *answers))
    (line,) = load(tmp_path).to_dict("records")
    assert (line["trusted"], line["trusted_speed"]) == (trusted, trusted_speed)


def test_an_unsteady_night_never_enters_a_baseline(tmp_path: Path) -> None:
    for number in range(30):
        slow = number >= 26
        timed = card_speed(FAST, 3.0 if slow else 2.0, steady=not slow)
        timed["values"]["end_to_end"]["steady"] = not slow
        append(tmp_path, night(number, build(FAST), timed))
    assert verdicts(load(tmp_path)) == []


def test_each_clock_is_trusted_by_its_own_steadiness(tmp_path: Path) -> None:
    for number in range(30):
        timed = card_speed(FAST, 3.0 if number >= 26 else 2.0)
        timed["values"]["end_to_end"]["steady"] = number < 26
        append(tmp_path, night(number, build(FAST), timed))
    assert [(each.figure, each.kind) for each in verdicts(load(tmp_path))] == [("device time", "confirmed")]


@pytest.mark.parametrize("state", [{"throttled": True}, {"foreign": "1 process beside ours computed on the card"}])
def test_each_clock_is_trusted_by_what_the_card_did_in_its_own_window(tmp_path: Path, state: dict) -> None:
    quiet, contended = {"throttled": False, "foreign": ""}, {"throttled": False, "foreign": "", **state}
    for number, (first, second) in enumerate([(quiet, contended), (contended, quiet)]):
        timed = card_speed(FAST, 2.0, state=first)
        timed["values"]["end_to_end"]["card"] = second
        append(tmp_path, night(number, build(FAST), timed))
    found = load(tmp_path)
    assert found["trusted_speed"].tolist() == [True, False]
    assert found["trusted_end_to_end"].tolist() == [False, True]


def test_what_another_process_slowed_never_enters_a_baseline(tmp_path: Path) -> None:
    for number in range(35):
        shared = {"foreign": "1 process beside ours computed on the card"} if number >= 30 else {}
        append(tmp_path, night(number, build(FAST), card_speed(FAST, 2.2 if shared else 2.0, state=shared)))
    assert verdicts(load(tmp_path)) == []


def test_a_cached_build_has_no_seconds(tmp_path: Path) -> None:
    append(tmp_path, night(0, build(FAST, cached=True), card_speed(FAST, 2.0)))
    assert load(tmp_path)["build_seconds"].isna().all()


def test_a_slower_case_names_its_commits_and_what_else_changed_across_driver_files(tmp_path: Path) -> None:
    _history(tmp_path, slow_from=25, driver="581.7", torch="2.16.0")
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 2
    found = {verdict.figure: verdict for verdict in verdicts(load(tmp_path))}
    slower = found["device time"]
    assert slower.kind == "confirmed" and slower.low < 1.06 < slower.high
    assert (slower.last_good["commit"], slower.first_bad["commit"]) == ("c24", "c25")
    assert slower.environment == {"driver": ("580.1", "581.7"), "torch": ("2.15.0", "2.16.0")}


def test_a_case_that_stayed_the_same_has_no_verdict(tmp_path: Path) -> None:
    _history(tmp_path, slow_from=99)
    assert verdicts(load(tmp_path)) == []


def test_a_loss_that_came_back_is_no_verdict(tmp_path: Path) -> None:
    for number in range(40):
        p50 = 2.2 if 20 <= number < 30 else 2.0
        append(tmp_path, night(number, build(FAST), card_speed(FAST, p50)))
    assert verdicts(load(tmp_path)) == []


def _levels(folder: Path, *levels: tuple[float, int]) -> None:
    rng = np.random.default_rng(0)
    values = [p50 for p50, nights in levels for _ in range(nights)]
    for number, p50 in enumerate(values):
        append(folder, night(number, build(FAST), card_speed(FAST, p50 * float(np.exp(rng.normal(0, 0.003))))))


def test_a_loss_stays_one_when_a_later_one_heals(tmp_path: Path) -> None:
    _levels(tmp_path, (2.0, 25), (2.4, 20), (2.54, 15), (2.4, 15))
    slower = next(verdict for verdict in verdicts(load(tmp_path)) if verdict.figure == "device time")
    assert slower.kind == "confirmed" and slower.first_bad["session"] == "s025"
    assert slower.now == pytest.approx(1.2, abs=0.01)


def test_a_loss_that_healed_in_part_says_what_is_left(tmp_path: Path) -> None:
    _levels(tmp_path, (2.0, 25), (2.4, 20), (2.1, 20))
    slower = next(verdict for verdict in verdicts(load(tmp_path)) if verdict.figure == "device time")
    assert slower.change == pytest.approx(1.2, abs=0.01) and slower.now == pytest.approx(1.05, abs=0.005)
    assert re.match(r"device time is [45]\.\d\u202f% longer than before .*, when it became (19|20)\.", sentence(slower))


def test_one_bad_night_at_the_end_is_unclear(tmp_path: Path) -> None:
    _history(tmp_path, slow_from=29)
    (verdict, _) = verdicts(load(tmp_path))
    assert verdict.kind == "unclear" and verdict.why.startswith("1 night only")


@pytest.mark.parametrize(
    ("figure", "good", "bad"),
    [
        ("accuracy ratio", accuracy(FAST, 0.996), accuracy(FAST, 0.985)),
        ("build seconds", build(FAST), build(FAST, build_seconds=16.5)),
        (
            "build seconds with known timings",
            build(FAST, known_timings_bytes=9_000),
            build(FAST, known_timings_bytes=9_000, build_seconds=16.5),
        ),
        ("size", build(FAST), build(FAST, size_bytes=7_000_000)),
    ],
)
def test_accuracy_build_seconds_and_size_are_watched(tmp_path: Path, figure: str, good: dict, bad: dict) -> None:
    for number in range(30):
        append(tmp_path, night(number, good if number < 27 else bad))
    assert [(one.figure, one.kind) for one in verdicts(load(tmp_path))] == [(figure, "confirmed")]


def test_a_first_build_is_not_held_against_one_that_found_timings(tmp_path: Path) -> None:
    for number in range(30):
        quick = {"build_seconds": 4.0, "known_timings_bytes": 9_000}
        append(tmp_path, night(number, build(FAST, **quick) if number < 27 else build(FAST, build_seconds=40.0)))
    assert verdicts(load(tmp_path)) == []


def test_a_cpu_has_a_history_of_its_own(tmp_path: Path) -> None:
    path = append(tmp_path, [session_row(), build(FAST), speed(FAST, 2.0)])
    assert path.name == file_name("Test CPU", "cpu") and json.loads(path.read_text().splitlines()[0])["driver"] == "cpu"
    (line,) = load(tmp_path).to_dict("records")
    assert line["end_to_end_p50_ms"] == 2.0 and np.isnan(line["device_p50_ms"] or np.nan)
