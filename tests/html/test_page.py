import errno
import json
import os
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markupsafe import escape

from fixtures.backends import registry
from reports.__main__ import main
from reports.analysis.cases import summarize
from reports.analysis.tables import build_table, records
from reports.description.machine import gpu_facts, machine
from reports.description.not_run import unanswered
from reports.errors import ReportError
from reports.html.assets import case_lines
from reports.html.environment_section import in_words
from reports.html.glossary import BACKENDS
from reports.html.page import render, write_report
from reports.record.results import Latency
from reports.record.schema import EndRow, ResumeRow
from reports.record.store import Recorder, last_session
from reports.text.formatting import ms_interval
from tests.helpers.rows import (
    FAST,
    SESSION,
    accuracy,
    answered,
    build,
    card_speed,
    case,
    end_row,
    row,
    session_row,
    speed,
)

BASELINE = case("pytorch", "fp32")
INT8 = case("onnxruntime", "int8")
TENSORRT = case("tensorrt", "int8")
BROKEN = case("torch-compile", "fp16")
ROWS = [
    session_row(),
    *answered(BASELINE, 80.0),
    *answered(INT8, 100.0, 0.93),
    row(BROKEN, "speed", outcome="error", reason="CppCompileError: no compiler\nomp.h: No such file"),
    row(TENSORRT, "matrix", outcome="skipped", reason="no NVIDIA GPU on this machine"),
    end_row(1),
]
HOSTILE = ["<script>alert(1)</script>", "\"quotes\" & 'more'", "{{ 7 * 7 }}", "x" * 300, "🐈‍⬛ émoji", "a--></style>"]


class _Page(HTMLParser):
    """The visible words of a page, its tags, and what it would load."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [
            value or ""
            for name, value in attributes
            if name in ("src", "href", "xlink:href", "data", "action") and not (value or "").startswith("#")
        ]
        assert not any(name.startswith("on") for name, _ in attributes)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def _line_of(html: str, case_id: str) -> str:
    """The words of the row of one case in the main table."""
    table = html[html.index('id="table"') :]
    start = table.index(f'<tr data-csv="{case_id},')
    return re.sub(r"<[^>]*>", " ", table[start : table.index("</tr>", start)])


def test_the_report_is_three_files_and_no_leftovers(tmp_path: Path) -> None:
    page = write_report(ROWS, tmp_path / "runs" / "one")
    assert page == tmp_path / "runs" / "one" / "report.html"
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.csv", "report.html", "report.json"]


def test_csv_and_json_equal_the_table(tmp_path: Path) -> None:
    write_report(ROWS, tmp_path)
    table = build_table(ROWS)
    read_back = pd.read_csv(
        tmp_path / "report.csv", dtype=table.dtypes.to_dict(), keep_default_na=False, na_values=[""]
    )
    pd.testing.assert_frame_equal(read_back, table, rtol=1e-12)
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["table"] == records(table)
    assert data["session"] == ROWS[0]
    assert {finding["level"] for finding in data["findings"]} == {"fail", "warn", "info"}
    assert data["recommendations"][0]["case_ids"] == [BASELINE["id"]]
    assert [line["metric"] for line in data["metrics"][:2]] == ["mAP50-95", "mAP50"]


def test_every_case_id_stands_in_the_page() -> None:
    text = _Page(render(ROWS)).text
    assert all(case["id"] in text for case in (BASELINE, INT8, BROKEN, TENSORRT))


def test_the_answer_comes_before_everything_else() -> None:
    sections = re.findall(r'<h2 id="([^"]+)"', render(ON_CARD))
    assert sections == [
        "ship",
        "speed",
        "sure",
        "table",
        "why",
        "claims",
        "accuracy",
        "measurement",
        "card",
        "trust",
    ]
    found = re.findall(r'<h2 id="([^"]+)"', render(ROWS))
    assert [each for each in found if each not in sections] == ["broken", "unanswered"]
    assert found.index("broken") == 1  # what broke is told right behind the answer


def test_a_failing_gate_is_shown_as_failed_in_words() -> None:
    html = render(ROWS)
    assert re.search(r'<td class="word-fail">fail</td>', html)
    assert "ONNX Runtime INT8 fails" in _Page(html).text  # the name of the point in the picture
    assert re.search(r'class="level fail" href="#broken"><span[^>]*>✗</span> 1 failed the gate<', html)
    assert re.search(r'<ul class="broken">.*?YOLOv8n · ONNX Runtime INT8 · batch 8.*?needs 98.%\.', html, re.DOTALL)


def test_an_engine_that_cannot_be_trusted_is_not_drawn() -> None:
    rows = [session_row(), *answered(BASELINE, 80.0), speed(INT8, 50.0), accuracy(INT8, 0.99, engine="another")]
    page = _Page(render(rows))
    assert "cannot be trusted: YOLOv8n · ONNX Runtime INT8 · batch 8" in page.text
    assert len(re.findall(r'<circle [^>]*class="marker', render(rows))) == 1  # the baseline


def test_bytes_that_are_no_text_do_not_break_a_report(tmp_path: Path) -> None:
    odd = "weights-\udcff.pt"  # how Python names a file whose name is no UTF-8
    rows = [session_row(why=odd), *answered(case("pytorch", "fp32", model=odd), 80.0), end_row()]
    write_report(rows, tmp_path)
    assert "weights-?.pt" in (tmp_path / "report.html").read_text()


def test_a_slower_int8_is_said_plainly_in_the_page() -> None:
    assert "INT8 is slower than PyTorch FP32 on this machine" in _Page(render(ROWS)).text


def test_what_did_not_run_is_grouped_by_reason_and_told_in_full() -> None:
    text = _Page(render(ROWS)).text
    assert "no NVIDIA GPU on this machine" in text
    assert "CppCompileError: no compiler omp.h: No such file" in text
    two = [*ROWS, row(case("tensorrt", "fp16"), "matrix", outcome="skipped", reason="no NVIDIA GPU on this machine")]
    groups = {group.reason: group for group in unanswered(summarize(two))}
    assert groups["no NVIDIA GPU on this machine"].cases == (TENSORRT["id"], "yolov8n-tensorrt-fp16-b8")


def test_a_part_of_the_matrix_is_said_to_be_one() -> None:
    rows = [session_row(gpu="NVIDIA H200"), *answered(FAST, 0.01), end_row()]
    assert "everything asked for ran" in render(rows) and "part of the matrix" not in render(rows)
    rows[0]["settings"]["chosen"] = "-k 'not <int8>'"
    page = render(rows)
    assert "everything asked for ran" not in page and "part of the matrix</a>" in page
    assert "Only a part of the matrix was asked for: <code>-k &#39;not &lt;int8&gt;&#39;</code>" in page


def test_an_unfinished_run_says_so() -> None:
    assert "This run did not finish" in _Page(render(ROWS[:-1])).text


def test_a_page_of_nothing_still_says_what_it_is() -> None:
    text = _Page(render([session_row(), end_row()])).text
    assert "Nothing was measured in this run." in text
    assert "No case ran." in text


def test_a_cpu_run_says_that_it_tells_nothing_about_a_gpu() -> None:
    assert "Measured on a CPU: this tells nothing about a GPU." in _Page(render(ROWS)).text


def test_a_gpu_run_is_labelled_with_the_name_of_the_card() -> None:
    text = _Page(render([session_row(gpu="NVIDIA H200"), *ROWS[1:]])).text
    assert "Measured on one NVIDIA H200." in text
    assert "tells nothing about a GPU" not in text


def test_a_cpu_run_on_a_machine_with_a_gpu_is_a_cpu_run() -> None:
    session = session_row(gpu="NVIDIA H200")
    session["settings"]["device"] = "cpu"
    assert machine(session) == ("Test CPU", "Measured on a CPU: this tells nothing about a GPU.")


CARD = {
    "name": "NVIDIA H200",
    "compute_capability": [9, 0],
    "driver": "580.95.05",
    "cuda_driver_version": "13.0",
    "memory_bytes": 150_754_820_096,
}
ON_CARD = [
    session_row(gpu="NVIDIA H200", card=CARD),
    *(build(BASELINE), card_speed(BASELINE, 4.0), accuracy(BASELINE, 1.0)),
    *(build(TENSORRT), card_speed(TENSORRT, 1.0, energy={"joules_per_image": 0.0123}), accuracy(TENSORRT, 0.99)),
    end_row(),
]
OF_A_CARD = ("device time", "on the card", "an image", "of peak", "What the GPU did meanwhile", "compute capability")


def test_a_run_on_a_card_shows_its_columns_and_what_the_card_did() -> None:
    page = _Page(render(ON_CARD))
    assert all(words in page.text for words in OF_A_CARD)
    line = " ".join(_line_of(render(ON_CARD), TENSORRT["id"]).split())
    for figure in ("8 000", "4.00×", "1.00", "1.50", "918 MB", "12.3", "1.6 %"):
        assert figure in line
    assert page.open == []


def test_a_run_on_a_cpu_has_no_column_of_a_card() -> None:
    text = _Page(render(ROWS)).text
    assert not [words for words in OF_A_CARD if words in text]
    assert "img/s end-to-end" in text


def test_a_column_that_no_case_fills_is_not_there() -> None:
    rows = [session_row(gpu="NVIDIA H200"), card_speed(BASELINE, 4.0, share_of_peak=None), end_row()]
    text = _Page(render(rows)).text
    assert "on the card" in text
    assert "of peak" not in text and "an image" not in text


def test_each_line_of_the_table_has_as_many_cells_as_the_head() -> None:
    for rows in (ROWS, ON_CARD, [session_row(gpu="x"), *answered(BASELINE, 4.0), card_speed(INT8, 1.0)]):
        html = render(rows)
        table = html[html.index('id="table"') :].split("</table>")[0]
        head = table.split("</thead>")[0].count("<th ")
        lines = [line for line in re.split(r'<tr(?: data-csv="[^"]*")?>', table)[2:] if "<td" in line]
        assert lines and {line.count("<td") + line.count("<th ") for line in lines} == {head}
        assert f'colspan="{head}"' in table


def test_what_disturbed_a_measurement_stands_beside_the_engine() -> None:
    state = {"throttled": True, "reasons": {"HwThermalSlowdown": 0.9}, "foreign": "2 processes beside ours: 7, 8"}
    text = _Page(render([session_row(gpu="x"), card_speed(BASELINE, 4.0, state=state)])).text
    assert "throttled; not alone on the card" in text
    assert "yes: heat" in text and "HwThermalSlowdown 90 %" in text and "2 processes beside ours: 7, 8" in text


def test_a_busy_card_at_its_power_limit_is_no_reason_to_run_it_again() -> None:
    fast = case("tensorrt", "fp16")
    state = {"throttled": True, "reasons": {"SwPowerCap": 0.9}}
    rows = [session_row(gpu="x"), build(BASELINE), card_speed(BASELINE, 4.0), accuracy(BASELINE, 1.0)]
    rows += [build(fast), card_speed(fast, 1.0, state=state, throttled_retries=1), accuracy(fast, 1.0), end_row()]
    text = _Page(render(rows)).text
    assert "at the card's power limit" in text and "this is what the card sustains" in text
    assert "yes: its power limit" in text and "SwPowerCap 90 %" in text
    assert "run it again" not in text and "rough timing:" not in text


def test_the_card_is_named_with_what_a_number_depends_on() -> None:
    assert gpu_facts(session_row(gpu="NVIDIA H200", card=CARD)) == [
        ("GPU", "NVIDIA H200"),
        ("compute capability", "9.0"),
        ("driver", "580.95.05"),
        ("newest CUDA of the driver", "13.0"),
        ("memory", "151\u202fGB"),
    ]
    text = _Page(render(ON_CARD)).text
    assert "compute capability 9.0, driver 580.95.05" in text
    assert "Absolute times hold for this card alone; ratios carry over to other cards only with care" in text


def test_a_record_that_knows_only_the_name_of_the_card_names_it() -> None:
    assert gpu_facts(session_row(gpu="NVIDIA H200")) == [("GPU", "NVIDIA H200")]
    assert gpu_facts(session_row()) == []


def test_an_engine_that_is_not_what_was_asked_for_is_shown_as_failed_and_not_drawn() -> None:
    lie = [
        row(INT8, "build", build(INT8)["values"], outcome="failed", reason="asked for INT8, but of 64 layers none"),
        speed(INT8, 50.0),
        accuracy(INT8, 1.0),
    ]
    html = render([session_row(), *answered(BASELINE, 80.0), *lie, end_row(1)])
    assert re.search(r'<td class="word-fail">fail</td>', html)
    page = _Page(html)
    assert "build failed: asked for INT8, but of 64 layers none" in page.text
    assert "cannot be trusted: YOLOv8n · ONNX Runtime INT8 · batch 8" in page.text


def test_hashes_versions_sets_and_settings_are_in_the_page() -> None:
    text = _Page(render(ROWS)).text
    for fact in ("e4c9" * 16, "onnxruntime 1.32.0", "generated scenes", "tolerance 0.02", "3.11.9", "256"):
        assert fact in text


def test_nothing_is_loaded_and_nothing_is_run_but_the_pages_own_script() -> None:
    page = _Page(render(ROWS))
    assert page.loads == [] and page.tags.count("script") == 1
    assert "script-src 'sha256-" in unescape(render(ROWS))
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert "default-src 'none'" in unescape(render(ROWS))
    assert not re.search(r"url\(|@import", render(ROWS))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_literally(name: str) -> None:
    evil = {**case(name, "int8", model=name), "id": f"id {name}"}
    base = case("pytorch", "fp32", model=name)
    card = dict.fromkeys(CARD, name)
    session = session_row(gpu=name, card=card, name=name, why=name, yolo={"name": name, name: name})
    session["environment"].update(cpu=name, packages={name: name})
    rows = [
        session,
        *answered(base, 80.0),
        build(evil, notes=[name], layers={name: 3}),
        card_speed(
            evil,
            60.0,
            state={"throttled": True, "reasons": {name: 0.9}, "foreign": name},
            instrument="host clock",
            quantity=name,
            stop_reason=name,
            peak_source=name,
            energy={"joules_per_image": 1, "source": name},
        ),
        accuracy(evil, 0.9, reason=name, details={name: name}),
        row(case("tensorrt", name), "matrix", outcome="skipped", reason=name),
        end_row(1),
    ]
    page = _Page(render(rows))
    assert page.open == []
    assert page.tags.count("script") == 1
    assert f"id {name}" in page.text
    assert page.text.count(name) > 10


def test_every_tag_of_the_page_is_closed() -> None:
    assert _Page(render(ROWS)).open == []


def test_values_of_a_wrong_type_do_not_break_the_page() -> None:
    wrong = {
        "speed": {
            "images_per_second": "fast",
            "latency_ms": {"p50": 3, "low": "x"},
            "samples": [],
            "warmup_s": "1",
            "card": {"reasons": [1], "power_mean_w": "x", "foreign": 3},
            "energy": [1],
            "end_to_end": "slow",
            "share_of_peak": "all",
            "throttled_retries": "once",
            "quantity": 7,
        },
        "build": {"size_bytes": "big", "layers": "all", "notes": None, "build_seconds": None},
        "accuracy": {"judged": True, "metrics": [{"name": None}, {}], "details": [1], "evaluation_images": "many"},
    }
    html = render([session_row(), *(row(INT8, question, values) for question, values in wrong.items()), end_row()])
    assert INT8["id"] in _Page(html).text


def test_missing_figures_are_dashes() -> None:
    """In a column that another case fills; one that no case of the run fills is left out."""
    alone = render([session_row(), speed(INT8, 40.0), end_row()])
    assert "–" not in _line_of(alone, INT8["id"]).split()
    assert re.findall(r'data-column="([^"]+)"', alone) == ["case", "images_per_second", "p50_ms"]
    beside = render([session_row(), *answered(BASELINE, 80.0), speed(INT8, 40.0), end_row()])
    assert _line_of(beside, INT8["id"]).split().count("–") >= 6


def test_what_may_be_below_the_gate_is_said_of_each_engine_and_never_of_the_baseline() -> None:
    rows = [
        session_row(),
        *answered(BASELINE, 80.0),
        *answered(INT8, 50.0, 0.983),
        *answered(TENSORRT, 40.0),
        end_row(),
    ]
    rows += [accuracy(BASELINE, 1.0, spread=0.05, small_set=True), accuracy(TENSORRT, 0.999, small_set=True)]
    html = render(rows)
    assert "may be below 98" in _line_of(html, INT8["id"])
    assert html.count("may be below") == 1 and "small evaluation set" not in html


def test_a_crash_stands_in_the_table_with_the_first_line_of_its_reason_and_passes_no_gate() -> None:
    crash = row(INT8, "speed", outcome="error", reason="RuntimeError: killed by signal 9\n  at line 7")
    line = _line_of(
        render([session_row(), *answered(BASELINE, 80.0), build(INT8), accuracy(INT8, 0.99), crash]), INT8["id"]
    )
    assert "speed: error: RuntimeError: killed by signal 9" in line and "line 7" not in line
    assert " error " in line.replace("speed: error", "") and " pass " not in line


def test_a_folder_that_cannot_be_written_is_an_error_that_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot write the report.*\n.*python -m reports render"):
        write_report(ROWS, tmp_path / "file" / "report")


def test_a_full_disk_leaves_the_earlier_report_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    page = write_report(ROWS, tmp_path)
    before = page.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReportError, match="No space left on device"):
        write_report([*ROWS[:-1], end_row(0)], tmp_path)
    assert page.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_rows_without_a_session_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="hold no session"):
        write_report(ROWS[1:], tmp_path)


def test_the_command_renders_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "rows.jsonl"
    with Recorder(record) as recorder:
        for each in ROWS:
            recorder.write(each)
    assert main(["render", str(record), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "report.html")
    assert main(["render", str(record)]) == 0
    assert (tmp_path / "report.csv").exists()


def test_the_command_ends_with_2_and_the_message_for_a_foreign_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "photo.jpg"
    foreign.write_bytes(b"\xff\xd8\xff")
    assert main(["render", str(foreign)]) == 2
    error = capsys.readouterr().err
    assert "photo.jpg, line 1" in error and "hint" in error


RESUME, ENDS = ResumeRow(SESSION, {}).to_dict(), [EndRow(SESSION, each, 0).to_dict() for each in (693.8, 29.1)]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ENDS[0]], "UTC; took 11 min 34 s;"),
        ([ENDS[0], RESUME, ENDS[1]], "UTC; took 12 min 3 s in 2 parts;"),
        ([RESUME, ENDS[1]], "UTC; took at least 29 s in 2 parts;"),
        ([ENDS[0], RESUME], "UTC; did not finish;"),
    ],
    ids=["one part", "two parts", "the first was killed", "the last was killed"],
)
def test_what_a_run_took_is_told_of_all_its_parts(rows: list, words: str) -> None:
    assert words in render([session_row(), *rows])
    assert words in render(last_session([session_row(), *rows]))


def test_the_page_says_which_model_was_judged_on_which_images() -> None:
    data = {
        "yolo": {"name": "yolov8n-coco.pt"},
        "clip": {"name": "vit"},
        "detection data": {"name": "instances.json (128 images)", "evaluation_images": 64},
        "zero-shot data": {"name": "shapes", "evaluation_images": 256},
    }
    head = _Page(render([session_row(name="real", **data), *ROWS[1:]])).text
    assert "YOLO: yolov8n-coco.pt on 64 images of instances.json; CLIP: vit on 256 generated images." in head


def test_settings_have_words_and_units_and_no_blanks() -> None:
    told = in_words(
        {"engine_cache_limit_bytes": 20_000_000_000, "case_seconds": 3600.0, "trt_workspace_mb": 4096, "resume": "",
         "rebuild": False, "models": ["a"], "nothing": None, "tolerance": 0.02, "data": {"size_bytes": 5e6}}
    )  # fmt: skip
    assert told == {
        "engine cache limit": "20.0\u202fGB", "case": "3600 s", "trt workspace": "4096 MiB", "resume": "–",
        "rebuild": "no", "models": ["a"], "nothing": "–", "tolerance": 0.02, "data": {"size": "5.00\u202fMB"},
    }  # fmt: skip


def test_two_wheels_in_one_folder_are_a_warning_in_trust() -> None:
    both = session_row(gpu="NVIDIA H200")
    both["environment"]["packages"] |= {"onnxruntime-gpu": "1.31.1"}
    trust = render([both, *ROWS[1:]]).split('<h2 id="trust">')[1]
    assert "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 are both installed." in trust
    assert "both installed" not in render(ROWS)


def test_the_words_that_the_page_uses_are_explained_and_no_others() -> None:
    assert set(BACKENDS) == set(registry.NAMES)
    fold = render(ON_CARD).split('<details class="words">')[1].split("</details>")[0]
    explained = re.findall("<dt>([^<]*)</dt>", fold)
    assert explained == [
        "PyTorch (pytorch)",
        "TensorRT (tensorrt)",
        "mAP50-95",
        "mAP50",
        "gate",
        "Q/DQ",
        "device time",
        "95 % interval",
    ]


def test_a_build_with_earlier_timings_is_not_shown_as_a_first_one() -> None:
    warm = [build(INT8, known_timings_bytes=9_000, cached=True), build(TENSORRT, known_timings_bytes=9_000)]
    html = render([session_row(), *answered(BASELINE, 80.0), *warm, end_row()])
    assert "from cache, with earlier timings" in _line_of(html, INT8["id"])
    assert "with earlier timings" in _line_of(html, TENSORRT["id"]) and "with earlier" not in _line_of(
        html, BASELINE["id"]
    )


def test_a_median_stands_in_the_table_with_its_interval() -> None:
    line = " ".join(_line_of(render(ON_CARD), TENSORRT["id"]).split())
    assert "1.00 0.990–1.01" in line and "1.50 1.48–1.52" in line
    assert ms_interval(Latency(1.2, 1.1994, 1.2008, None, None, None, None)) == "1.199–1.201"


def test_the_contents_lead_to_every_section() -> None:
    page = render(ROWS)
    (contents,) = re.findall(r'<nav aria-label="Contents">(.*?)</nav>', page, re.DOTALL)
    anchors = re.findall(r'href="#([^"]+)"', contents)
    assert anchors == re.findall(r'<h2 id="([^"]+)"', page)
    assert len(anchors) > 6


def test_the_table_begins_with_what_decides_and_says_why_a_p99_is_a_dash() -> None:
    html = render(ON_CARD)
    heads = re.findall(r'data-column="([^"]+)"', html)
    assert heads[:7] == [
        "case", "gate", "accuracy_ratio", "speedup", "images_per_second", "p50_ms", "end_to_end_p50_ms",
    ]  # fmt: skip
    assert "p99_ms" not in heads and "A p99 needs 662 samples, and has no column here" in html
    known = render([*ON_CARD[:-1], speed(INT8, 40.0, latency_ms={"p50": 40.0, "p99": 44.0}), ON_CARD[-1]])
    assert "p99_ms" in known and "A p99 needs 662 samples, else it is a dash" in known


def test_the_verdict_leads_to_what_did_not_run_and_why() -> None:
    verdict = render(ROWS).split('<h2 id="sure">')[1].split("</section>")[0]
    assert '1 case did not run: 1 (no NVIDIA GPU on this machine). <a href="#unanswered">' in verdict


def test_what_did_not_run_stands_below_the_tables_by_reason_with_its_line_of_csv() -> None:
    other = row(case("trtexec", "int8"), "matrix", outcome="skipped", reason="no NVIDIA GPU on this machine")
    rows = [*ROWS, other]
    (group,) = case_lines(summarize(rows)).idle
    lines = build_table(rows).to_csv(index=False).splitlines()
    written = [f"{line.head},{group.tail}" for line in group.lines]
    assert len(written) == 2 and set(written) <= {str(escape(line)) for line in lines}
    table = render(rows).split('<h2 id="table">')[1].split("</section>")[0]
    assert "2 cases: no NVIDIA GPU on this machine" in table and "<b>trtexec INT8</b> · batch 8" in table


def test_small_networks_that_were_tried_stand_on_the_page_where_the_record_has_them() -> None:
    one = {"network": "try-yolo", "backend": "trtexec", "precision": "fp16", "outcome": "fails", "tolerance": 0.05}
    said = {"detail": "ended by SIGSEGV", "log_tail": ["<b>cudaErrorNoDevice</b>"], "pip": "pip install tensorrt"}
    page = render([{**session_row(), "tries": [{**one, **said}]}, *ROWS[1:]])
    text = _Page(page).text
    assert "Small networks, tried before this run" in text and "try-yolo trtexec fp16" in text
    assert "ended by SIGSEGV" in text and "pip install tensorrt" in text and "<b>cudaErrorNoDevice" not in page
    assert "Small networks, tried before this run" not in _Page(render(ROWS)).text
