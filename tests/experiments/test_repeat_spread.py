"""The spread of medians over runs of one machine: what counts as spread, and when the bar fails."""

from pathlib import Path

import pytest

from reports.record.store import Recorder
from tests.experiments.repeat_spread import main
from tests.helpers.rows import build, card_speed, case, end_row, session_row

BACKENDS = [f"backend-{place}" for place in range(10)]


def record(folder: Path, name: str, medians_ms: list[float], wide: tuple[int, ...] = ()) -> str:
    path = folder / f"{name}.jsonl"
    with Recorder(path) as recorder:
        recorder.write(session_row(gpu="NVIDIA H200"))
        for place, (backend, median) in enumerate(zip(BACKENDS, medians_ms, strict=False)):
            spread = 0.04 if place in wide else 0.004
            samples_ms = [median * (1 + spread * (at % 9 - 4) / 4) for at in range(90)]
            recorder.write(build(case(backend, "fp16")))
            recorder.write(card_speed(case(backend, "fp16"), median, samples_ms=samples_ms))
        recorder.write(end_row())
    return str(path)


def test_nine_of_ten_cases_within_two_percent_hold(tmp_path, capsys):
    runs = [record(tmp_path, str(place), [*[1.0 * near] * 9, far]) for place, (near, far) in enumerate(
        [(1.0, 1.0), (1.019, 1.5), (1.01, 1.0)]
    )]  # fmt: skip
    assert main(runs) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("yolov8n-backend-9-fp16-b8") and lines[0].endswith("50.00%")
    assert lines[1].endswith("1.90%")
    assert lines[-2:] == [
        "90.0% of 10 cases within 2% over 3 runs (bar: 90%): held",
        "90.0% of the 10 whose calls spread by at most 2% in every run",
    ]


def test_cases_whose_calls_spread_are_told_apart_and_still_count(tmp_path, capsys):
    runs = [record(tmp_path, "a", [1.0] * 10), record(tmp_path, "b", [*[1.0] * 8, 1.03, 1.04], wide=(8, 9))]
    assert main(runs) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "80.0% of 10 cases within 2% over 2 runs (bar: 90%): NOT held",
        "100.0% of the 8 whose calls spread by at most 2% in every run",
    ]


def test_two_of_ten_beyond_do_not(tmp_path, capsys):
    runs = [record(tmp_path, "a", [1.0] * 10), record(tmp_path, "b", [*[1.0] * 8, 1.03, 0.97])]
    assert main(runs) == 1
    assert "80.0% of 10 cases" in capsys.readouterr().out


def test_a_case_that_one_run_lacks_counts_as_spread(tmp_path, capsys):
    assert main([record(tmp_path, "a", [1.0] * 4), record(tmp_path, "b", [1.0] * 3)]) == 1
    assert "inf" in capsys.readouterr().out.splitlines()[0]


def test_one_run_has_no_spread(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main([record(tmp_path, "a", [1.0])])
    assert left.value.code == 2 and "name two records" in capsys.readouterr().err


def test_records_that_cannot_be_compared_are_named(tmp_path, capsys):
    nothing = [record(tmp_path, "a", []), record(tmp_path, "b", [])]
    assert main(nothing) == 2
    assert "holds a timed case" in capsys.readouterr().err
    assert main([nothing[0], str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl" in capsys.readouterr().err
