"""Thresholds of a history's cases: what the file may say, and that the nights are judged by them."""

from pathlib import Path

import pytest

from reports.__main__ import main
from reports.errors import ReportError
from reports.history.regressions import TRACKED, lines_by_case, look, verdicts
from reports.history.session_regressions import judge
from reports.history.store import append, load
from reports.history.thresholds import FIGURES, FILE, Thresholds, read_thresholds
from tests.helpers.rows import FAST, accuracy, build, card_speed, case, night
from tests.helpers.runs import run_here

INT8 = case("tensorrt", "int8")


def _write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(text)
    return folder


def _nights(folder: Path, *, slower: float = 1.04, worse: float = 0.0, longer: float = 1.0) -> None:
    """Thirty nights of two cases, both of them worse in the last five."""
    for number in range(30):
        late = number >= 25
        answers = []
        for each in (FAST, INT8):
            answers += [
                build(each, build_seconds=12.5 * (longer if late else 1.0)),
                card_speed(each, 2.0 * (slower if late else 1.0)),
                accuracy(each, 0.995 - (worse if late else 0.0)),
            ]
        append(folder, night(number, *answers))


def test_every_watched_figure_has_a_name_and_every_name_a_figure():
    named = [column for columns in FIGURES.values() for column in columns]
    assert sorted(named) == sorted(figure.column for figure in TRACKED)


def test_the_last_pattern_that_fits_decides(tmp_path: Path):
    text = '["*"]\nspeed = 0.1\nsize = 0.2\n["*-int8-*"]\nspeed = 0.05\n["clip-*"]\nspeed = 0.5\n'
    found = read_thresholds(_write(tmp_path, text))
    clocks = dict.fromkeys(FIGURES["speed"], 0.05)
    assert len(clocks) == 3 and found.of(INT8["id"]) == {**clocks, "size_bytes": 0.2}
    assert found.of(FAST["id"])["device_p50_ms"] == 0.1
    assert read_thresholds(tmp_path / "none") == Thresholds() and Thresholds().of("x") == {}


def test_a_case_is_judged_by_its_own_threshold_and_the_others_by_the_suites(tmp_path: Path):
    """Four percent slower: more than the 3 % of the suite, less than the 5 % that this case may lose."""
    _nights(_write(tmp_path, '["*-int8-*"]\nspeed = 0.05\n'))
    history = load(tmp_path)
    assert {verdict.case for verdict in verdicts(history)} == {FAST["id"]}
    assert {since.case for since in judge(history, "s029")} == {FAST["id"]}
    (tmp_path / FILE).unlink()
    assert {verdict.case for verdict in verdicts(load(tmp_path))} == {FAST["id"], INT8["id"]}


def test_a_threshold_may_be_tighter_and_of_any_figure(tmp_path: Path):
    _nights(_write(tmp_path, '["*-int8-*"]\naccuracy = 0.002\nbuild = 0.1\n'), slower=1.0, worse=0.004, longer=1.2)
    found = [(each.case, each.figure, each.kind) for each in verdicts(load(tmp_path))]
    assert found == [(INT8["id"], "accuracy ratio", "confirmed"), (INT8["id"], "build seconds", "confirmed")]


def test_the_charts_look_by_the_same_threshold(tmp_path: Path):
    _nights(_write(tmp_path, '["*-int8-*"]\nspeed = 0.05\n'))
    lines = {name: nights for (_, name), nights in lines_by_case(load(tmp_path)).items()}
    (speed,) = (figure for figure in TRACKED if figure.name == "device time")
    assert [step.confirmed for step in look(lines[FAST["id"]], speed).steps] == [True]
    assert not any(step.confirmed for step in look(lines[INT8["id"]], speed).steps)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('["*"]\nsped = 0.05\n', "unknown figure 'sped'"),
        ('["*"]\nspeed = "5 %"\n', "no threshold"),
        ('["*"]\nspeed = 0\n', "no threshold"),
        ('["*"]\nspeed = 5\n', "no threshold"),
        ('["*"]\nspeed = nan\n', "no threshold"),
        ('["*"]\nspeed = true\n', "no threshold"),
        ("speed = 0.05\n", "outside of a table"),
        ("[*]\n", "no TOML"),
    ],
)
def test_what_is_no_threshold_is_an_error_that_says_how_to_mend_it(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    append(tmp_path, night(0))
    with pytest.raises(ReportError, match=f"{FILE}: .*{said}(\n|.)*hint"):
        load(_write(tmp_path, text))
    assert main(["history", "show", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(ReportError, match=f"{FILE}: cannot read the thresholds"):
        load(tmp_path)


def test_a_run_refuses_a_wrong_file_before_it_measures(tmp_path: Path):
    history = _write(tmp_path / "history", '["*"]\nsped = 0.05\n')
    done = run_here("--suite", "embedded", "--history", str(history), "--output", str(tmp_path / "output"))
    assert done.returncode == 4 and "unknown figure 'sped'" in done.stderr
    assert not (tmp_path / "output" / "rows.jsonl").exists()
