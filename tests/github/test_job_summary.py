import re
import subprocess
import sys
from pathlib import Path

import pytest

from reports.__main__ import main
from reports.findings.reading import read
from reports.findings.run import find
from reports.github.job_summary import MESSAGE_CHARACTERS, annotations, command, escaped, job_summary
from reports.record.schema import Row
from reports.record.store import Recorder
from tests.helpers.rows import accuracy, answered, build, case, end_row, row, session_row, speed

BASELINE = case("pytorch", "fp32")
INT8 = case("onnxruntime", "int8")
BROKEN = case("torch-compile", "fp16")
TENSORRT = case("tensorrt", "int8")
ROWS = [
    session_row(gpu="NVIDIA GeForce RTX 2080 Ti"),
    *answered(BASELINE, 80.0),
    *answered(INT8, 20.0, 0.93),
    row(BROKEN, "speed", outcome="error", reason="CppCompileError: no compiler\nomp.h: 100% missing"),
    row(TENSORRT, "matrix", outcome="skipped", reason="TensorRT is not installed: pip install tensorrt"),
    end_row(1),
]
HOSTILE = "a|b\n| c | <img src=x onerror=alert(1)> `x` **y** [z](http://e.vil) \\| $m$ & \u202egpj\x00 \ud800"
COMMAND = re.compile(r"::(error|warning) title=([^:,\r\n]*)::([^\r\n]*)")


def hostile_rows() -> list[Row]:
    worst = case(HOSTILE, "int8", model=HOSTILE)
    return [
        session_row(gpu=HOSTILE),
        *answered(worst, 20.0, 0.9),
        row(case(HOSTILE, "fp16"), "matrix", outcome="skipped", reason=HOSTILE),
        row(case(HOSTILE, "fp32"), "build", outcome="failed", reason=HOSTILE),
        end_row(1),
    ]


def tables(markdown: str) -> list[list[str]]:
    """The tables of a page, each a list of its lines."""
    lines = markdown.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("|") and (i == 0 or not lines[i - 1])]
    ends = [
        next(j for j in range(i, len(lines) + 1) if j == len(lines) or not lines[j].startswith("|")) for i in starts
    ]
    return [lines[start:end] for start, end in zip(starts, ends, strict=True)]


def undone(text: str) -> str:
    """What the runner makes of an escaped message: %25 last (actions/runner, ActionCommand.cs)."""
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%3A", ":").replace("%2C", ",").replace("%25", "%")


def test_the_answer_comes_first_then_what_broke_then_the_doubts():
    page = job_summary(ROWS)
    reading = read(ROWS)
    first = next(line for line in page.splitlines() if line.startswith("- "))
    assert first == f"- {escaped(reading.answers[0].sentence)}"
    order = [
        first,
        escaped(reading.status.words[0]),
        "### What broke",
        *(escaped(each.line) for each in reading.broken),
    ]
    order += ["### How sure is it", *(escaped(kind.title) for kind in reading.doubts), "### What to ship"]
    places = [page.index(words) for words in order]
    assert places == sorted(places) and len(reading.broken) == 2 and len(reading.doubts) == 1
    assert page.index("What to ship") < page.index("img/s |") < page.index("What did not run")
    assert "Measured on one NVIDIA GeForce RTX 2080 Ti." in page


def test_what_broke_is_the_line_that_the_terminal_has() -> None:
    page = job_summary(ROWS)
    assert "- ❌ **YOLOv8n · ONNX Runtime INT8 · batch 8**: keeps 93.0" in page
    assert "(98\u202f% needed) → do not ship it\n" in page
    assert page.index("### What broke") < page.index("Each in full") < page.index("needs 98")


def test_no_finding_is_lost():
    page = job_summary(ROWS)
    left = [finding.text for finding in find(ROWS) if escaped(finding.text) not in page.replace(" → ", " ")]
    assert len(find(ROWS)) == 3 and left == []


def test_a_fold_is_closed_where_the_page_is_cut():
    whole = job_summary(ROWS)
    found = set()
    for size in range(400, len(whole.encode()), 40):
        cut = job_summary(ROWS, most_bytes=size)
        assert cut.count("<details>") == cut.count("</details>") and len(cut.encode()) <= size
        assert "did not fit" in cut.split("</details>")[-1]
        found.add("<details>" in cut)
    assert found == {True, False}


def test_the_table_has_every_case_that_ran_with_its_figures():
    ship, figures = tables(job_summary(ROWS))
    assert "| **PyTorch FP32** |" in ship[2]
    assert figures[2].startswith("| **PyTorch FP32** | 100 | 1.00× | 100.0")
    assert re.fullmatch(
        r"\| ONNX Runtime INT8 \| 400 \| 4\.00× \(3\.9\d–4\.0\d\) \| 93\.0.% \(92\.2–93\.8\) \| \*\*fail\*\* \|",
        figures[3],
    )
    assert figures[4] == "| torch.compile FP16 | – | – | – | error |"
    assert len(figures) == 5


def test_what_did_not_run_stands_with_its_reason():
    last = job_summary(ROWS).split("### What did not run")[1]
    assert "speed error: CppCompileError: no compiler omp.h: 100% missing – 1 case: YOLOv8n · torch.compile" in last
    assert "TensorRT is not installed: pip install tensorrt – 1 case: YOLOv8n · TensorRT INT8 · batch 8" in last


def test_an_unsteady_timing_is_marked_beside_its_figure():
    rows = [session_row(), build(BASELINE), speed(BASELINE, 80.0, steady=False), accuracy(BASELINE, 1.0), end_row()]
    assert "| 100 (rough) |" in job_summary(rows)
    assert annotations(rows)[0] == (
        "::warning title=yolov8n-pytorch-fp32-b8 is a rough timing::Take it as rough: not steady."
    )


def test_a_hostile_name_breaks_no_table_and_brings_no_markup():
    page = job_summary(hostile_rows())
    for table in tables(page):
        assert {line.count("|") for line in table} == {table[0].count("|")}
    for fold in ("Which cases, and why", "Each in full"):
        page = page.replace(f"<details><summary>{fold}</summary>", "")
    page = page.replace("</details>", "")
    assert not re.search(r"<|(?<!\\)[`\[\]$]|[\x00\u202e\ud800]", page)
    assert "\\|" not in page, "GitHub splits a row at pipes before it looks at backslashes"
    assert page.encode()


def test_a_page_that_is_too_long_is_cut_by_whole_lines_and_says_so():
    many = [session_row()]
    for batch in range(1, 400):
        many += answered(case("pytorch", "fp32", batch=batch), 80.0)
    whole = job_summary([*many, end_row()])
    cut = job_summary([*many, end_row()], most_bytes=20_000)
    assert 19_000 < len(cut.encode()) <= 20_000 < len(whole.encode())
    *kept, blank, note = cut.splitlines()
    assert kept == whole.splitlines()[: len(kept)] and not blank
    assert note.startswith(f"{len(whole.splitlines()) - len(kept)} more lines did not fit")


def test_no_text_of_a_record_can_fill_the_page_alone():
    rows = [session_row(), row(case("x" * 3_000_000, "fp32"), "build", outcome="error", reason="y" * 3_000_000)]
    assert len(job_summary(rows).encode()) < 20_000
    assert all(len(line) < 3 * MESSAGE_CHARACTERS for line in annotations(rows))


def test_a_failed_gate_is_an_error_that_names_the_case_and_a_crash_a_warning():
    error, warning = annotations(ROWS)
    assert error == "::error title=yolov8n-onnxruntime-int8-b8 failed its gate::mAP50-95 holds 0.930 of the baseline"
    assert warning == (
        "::warning title=yolov8n-torch-compile-fp16-b8 stopped with an error (speed)::"
        "CppCompileError: no compiler%0Aomp.h: 100%25 missing"
    )


def test_a_run_in_which_nothing_is_wrong_has_no_annotation():
    assert annotations([session_row(), *answered(BASELINE, 80.0), end_row()]) == []


@pytest.mark.parametrize(
    ("rows", "title"),
    [
        ([row(INT8, "build", outcome="failed", reason="64 of 64 layers are FP32")], "failed its build question"),
        ([build(INT8), speed(INT8, 9.0), accuracy(INT8, 1.0, engine="another")], "cannot be trusted"),
        ([build(INT8), accuracy(INT8, 0.9, outcome="passed")], "failed its gate"),
    ],
)
def test_whatever_else_fails_a_case_is_an_error(rows: list[Row], title: str):
    said = annotations([session_row(), *rows, end_row(1)])
    assert len(said) == 1 and said[0].startswith(f"::error title={INT8['id']} {title}::")
    assert not said[0].endswith("::")


def test_a_run_that_did_not_finish_is_an_error():
    assert annotations(ROWS[:-1])[1].startswith("::error title=The run did not finish::")


def test_only_as_many_annotations_as_github_shows_and_the_last_counts_the_rest():
    failing = [case("onnxruntime", "int8", batch=batch) for batch in range(1, 13)]
    rows = [session_row(), *(accuracy(one, 0.9) for one in failing), end_row(1)]
    said = annotations(rows)
    assert len(said) == 10
    assert said[-1].startswith("::error title=3 more are not shown here::")
    assert len(annotations([session_row(), *(accuracy(one, 0.9) for one in failing[:10]), end_row(1)])) == 10
    assert "more are not" not in "".join(annotations([*rows[:11], end_row(1)]))


def test_gates_come_before_other_failures():
    others = [row(case("a", "fp32", batch=b), "build", outcome="failed", reason="x") for b in range(1, 20)]
    said = annotations([session_row(), *others, accuracy(INT8, 0.9), end_row(1)])
    assert said[0].startswith(f"::error title={INT8['id']} failed its gate::")


@pytest.mark.parametrize("text", ["50%, a:b", "two\nlines", "%0A is no new line", "::error::", "a,b%3A\r\n\t\x1bc"])
def test_a_command_is_one_line_and_comes_back_as_it_was(text: str):
    line = command("error", text, text)
    kind, title, message = COMMAND.fullmatch(line).groups()  # type: ignore[union-attr]
    assert kind == "error"
    shown = "\n".join(re.sub("[\x00-\x1f]+", " ", part) for part in text.splitlines())
    assert undone(message) == shown
    assert undone(title) == re.sub("[\x00-\x1f]+", " ", text)


def test_hostile_names_make_no_second_command():
    said = annotations(hostile_rows())
    assert len(said) == 2
    assert all(COMMAND.fullmatch(line) for line in said)
    assert "\n".join(said).encode()


def test_two_sessions_in_a_record_give_the_page_of_the_last():
    page = job_summary([*ROWS, session_row(), *answered(BASELINE, 80.0), end_row()])
    assert "Failed" not in page and "tensorrt" not in page


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    with Recorder(path) as recorder:
        for one in ROWS:
            recorder.write(one)
    return path


def test_the_command_prints_the_page(record: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["summary", str(record)]) == 0
    assert capsys.readouterr().out == job_summary(ROWS)


def test_a_reader_that_has_seen_enough_is_no_error(record: Path):
    command = [sys.executable, "-m", "reports", "summary", str(record)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        assert asked.stdout and asked.stderr
        asked.stdout.close()
        assert asked.stderr.read() == ""
    assert asked.returncode == 0


def test_the_command_appends_the_page_and_prints_the_annotations(record: Path, capsys: pytest.CaptureFixture[str]):
    page = record.with_name("page.md")
    page.write_text("before\n")
    assert main(["summary", str(record), "--annotations", "--output", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == f"before\n{job_summary(ROWS)}"
    assert capsys.readouterr().out.splitlines() == annotations(ROWS)


def test_a_missing_record_is_an_error_of_the_job_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["summary", str(tmp_path / "none.jsonl"), "--annotations"]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("::error title=No summary::") and "hint" in said.err


def test_a_page_that_cannot_be_written_says_how_to_mend_it(record: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["summary", str(record), "--output", str(record.parent)]) == 2
    assert "hint" in capsys.readouterr().err
