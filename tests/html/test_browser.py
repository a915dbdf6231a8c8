"""The page in a real browser: on a phone and a desk, in light and dark, with scripts and without, on paper.

Needs the packages of the `browser` extra and a Chromium of the system; no browser is downloaded.
"""

import csv
import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures import ROOT
from fixtures.accuracy.examples import thumbnail
from reports.analysis.recommendation import recommend
from reports.analysis.tables import build_table
from reports.compare.runs import compare
from reports.compare.runs import render as render_two
from reports.findings.run import find
from reports.history.store import append, load
from reports.html.page import as_data, render, write_report
from reports.record.schema import Row
from reports.record.store import read_rows
from reports.text.names import case_name, engine_name, model_name
from tests.helpers.browsing import DESK, LOOK_NAMES, LOOKS, PHONE, grave, needs_browser
from tests.helpers.embedded_job import EmbeddedJob
from tests.helpers.rows import accuracy, build, card_speed, case, end_row, night, row, session_row

pytestmark = needs_browser

HOSTILE = [
    "<script>alert(1)</script>",
    "\"quotes\" & 'more', with a comma",
    '"><img src=x onerror=alert(1)>',
    "</template></script><script>alert(1)</script>",
    "x" * 300,
    "🐈‍⬛ émoji",
    "line one\nline two\r\nline three",
]

BASE, INT8, FAST = case("pytorch", "fp32"), case("onnxruntime", "int8"), case("tensorrt", "fp16")
SMALL, CLIP = case("tensorrt", "fp16", batch=1), case("pytorch", "fp32", model="clip-image")
BROKEN, ABSENT = case("torch-compile", "fp16"), case("trtexec", "int8", batch=1)
GREEN = np.full((60, 90, 3), (20, 160, 40), dtype=np.uint8)
FLIP = {"image": 17, "baseline": "a cat", "engine": "<b>a dog</b>", "picture": thumbnail(GREEN)}
TRACE = {"seconds": [0, 0.05, 0.1], "sm_clock_mhz": [1980, 1200, 1980], "temperature_c": [40, 41, 41], "power_w": None}
ROWS = [
    session_row(gpu="NVIDIA H200"),
    *(build(BASE), card_speed(BASE, 4.0), accuracy(BASE, 1.0)),
    *(
        build(INT8, size_bytes=3_500_000),
        card_speed(INT8, 2.0, state={"trace": TRACE}),
        accuracy(INT8, 0.93, changed_images=[FLIP]),
    ),
    *(build(FAST), card_speed(FAST, 1.0, energy={"joules_per_image": 0.0123}, steady=False), accuracy(FAST, 0.99)),
    *(build(SMALL), card_speed(SMALL, 0.5), accuracy(SMALL, 1.0)),
    *(build(CLIP), card_speed(CLIP, 9.0), accuracy(CLIP, 1.0)),
    row(BROKEN, "build", outcome="error", reason="CppCompileError: no compiler\nomp.h: No such file"),
    row(ABSENT, "matrix", outcome="skipped", reason="no trtexec on this machine"),
    row(case("openvino", "fp16", model="siglip"), "matrix", outcome="skipped", reason="no such model here"),
    end_row(1),
]
RAN, IDLE = 6, 2
# What was measured on real cards, and the pages that were published of it.
PUBLISHED = sorted((ROOT / "reports" / "published").glob("*/rows.jsonl"))
PUBLISHED_NAMES = [path.parent.name for path in PUBLISHED]
# Those of a matrix: a run of pipelines alone has no table of cases (`test_first_screen` looks at one).
MATRICES = [path for path in PUBLISHED if any(row["kind"] == "case" for row in read_rows(path))]
MATRIX_NAMES = [path.parent.name for path in MATRICES]


# What stands in each cell of these lines; what scripts add for a sorted table is hidden.
CELLS = """found => found.map(row => [...row.cells].map(cell => cell.innerText.replace(/\\s+/g, ' ').trim()))"""


def called(each: dict[str, Any]) -> str:
    """What a case is called on the page."""
    return case_name(each["model"], engine_name(each["backend"], each["precision"]), str(each["batch"]))


@cache
def rows_of(record: Path) -> list[Row]:
    """The rows of a record, the same list every time, so that its page is written once."""
    return read_rows(record)


def whole(page: Any) -> str:
    """All the words of a page, folded ones too."""
    return " ".join(page.locator("body").evaluate("body => body.textContent").split())


@pytest.fixture(params=["embedded", *MATRIX_NAMES])
def record(request: pytest.FixtureRequest) -> Path:
    """The record of a real run."""
    if request.param == "embedded":
        job: EmbeddedJob = request.getfixturevalue("embedded_job")
        return job.output / "rows.jsonl"
    return MATRICES[MATRIX_NAMES.index(request.param)]


@pytest.mark.parametrize(("size", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_nothing_is_wider_than_the_screen_and_no_text_of_a_picture_is_cut_off(
    opened: Any, size: dict[str, int], scheme: str
) -> None:
    with opened(size=size, scheme=scheme) as seen:
        seen.page.get_by_label("also what did not run").check()
        for rows_wide in ("document.documentElement.scrollWidth", "document.body.scrollWidth"):
            assert seen.page.evaluate(rows_wide) <= size["width"]
        back = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 21, 24)"}[scheme]
        assert seen.page.locator("svg text").count() > 10
        assert seen.page.evaluate(CUT_OFF) == []


def test_a_table_that_is_cut_off_says_so_until_its_end(opened: Any) -> None:
    """Where a browser hides its scrollbars an arrow at the edge is all that tells of further columns."""
    arrow = "box => getComputedStyle(box, '::after').opacity"
    with opened(size=PHONE) as seen:
        table = seen.page.locator(".cases .scroll").first
        assert table.evaluate("box => box.scrollWidth > box.clientWidth + 100")
        assert table.evaluate(arrow) == "1"
        table.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
        seen.page.wait_for_function(arrow.replace("box =>", "box => 0 == "), arg=table.element_handle())
        table.evaluate("box => { box.style.width = '4000px'; }")  # all of it fits
        seen.page.wait_for_function(arrow.replace("box =>", "box => 0 == "), arg=table.element_handle())
        assert table.evaluate("box => box.scrollWidth == box.clientWidth")


def test_a_page_that_asks_for_something_or_complains_is_noticed(opened: Any) -> None:
    with opened() as seen:
        seen.page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}))")
        seen.page.wait_for_timeout(100)
        assert any("https://example.org/x.png" in complaint for complaint in seen.complaints)
        seen.complaints.clear()


# Of the head of a column: its own order and that of every other sorted one; the announcement; the visible lines.
SORTED = """head => [
  [head, ...document.querySelectorAll('th[aria-sort]')].filter((each, place) => !place || each !== head)
    .map(each => each.getAttribute('aria-sort')),
  document.querySelector('[role=status]').innerText,
  [...document.querySelectorAll('tr[data-csv]')].filter(row => row.checkVisibility()).map(row => row.dataset.csv)]"""


def test_each_column_sorts_up_and_down_and_back_by_keyboard(opened: Any) -> None:
    with opened() as seen:
        heads = seen.page.locator(".cases").first.locator("thead th")
        before = heads.first.evaluate(SORTED)[2]
        assert [next(csv.reader([line]))[0] for line in before] == seen.shown()
        assert heads.count() == heads.get_by_role("button").count() >= 14
        for place in range(heads.count()):
            head = heads.nth(place)
            head.get_by_role("button").focus()
            for direction in ("ascending", "descending"):
                seen.page.keyboard.press("Enter")
                sorts, status, shown = head.evaluate(SORTED)
                assert sorts == [direction] and "sorted by" in status
                assert sorted(shown) == sorted(before)
            seen.page.keyboard.press("Enter")
            sorts, _, shown = head.evaluate(SORTED)
            assert sorts == [None] and shown == before


def test_sorting_follows_the_full_figures_and_leaves_what_is_missing_last(opened: Any) -> None:
    with opened() as seen:
        seen.page.get_by_role("button", name="p50 ms device time").first.click()
        assert seen.shown()[:5] == [each["id"] for each in (SMALL, FAST, INT8, BASE, BROKEN)]
        seen.page.get_by_role("button", name="p50 ms device time").first.click()
        assert seen.shown()[:5] == [each["id"] for each in (BASE, INT8, FAST, SMALL, BROKEN)]
        assert "p50 ms device time, highest first" in seen.status()
        assert seen.page.locator("tr.group:visible").all_inner_texts() == ["batch 8"]  # that of the other model
        assert seen.page.locator(".sorted .of-batch").first.inner_text() == "batch 8"


def test_filters_narrow_the_cases_and_the_count_is_announced(opened: Any) -> None:
    with opened() as seen:
        page = seen.page
        assert page.get_by_role("status").count() == 1
        assert seen.status() == f"{RAN} of {RAN} cases shown; {IDLE} more did not run"
        page.get_by_label("Find").fill("TensorRT  b1")
        assert seen.shown() == [SMALL["id"]]
        assert seen.status() == f"1 of {RAN} cases shown"
        page.get_by_label("Find").fill("")
        seen.choose("Gate", "fail")
        assert seen.shown() == [INT8["id"]]
        seen.choose("Gate", "all")
        seen.choose("Model", "CLIP image")
        assert seen.shown() == [CLIP["id"]]
        seen.choose("Precision", "INT8")
        assert seen.shown() == [] and page.locator(".cases:visible").count() == 0
        seen.choose("Model", "all")
        seen.choose("Backend", "ONNX Runtime")
        assert seen.shown() == [INT8["id"]]


def test_what_did_not_run_joins_the_tables_with_its_reason(opened: Any) -> None:
    with opened() as seen:
        page = seen.page
        page.get_by_label("Find").fill("trtexec")
        assert seen.shown() == [] and seen.status() == f"0 of {RAN} cases shown; 1 more did not run"
        page.get_by_label("also what did not run").check()
        assert seen.shown() == [ABSENT["id"]] and seen.status() == f"1 of {RAN + IDLE} cases shown"
        assert "did not run: no trtexec on this machine" in page.locator("tr[data-csv]:visible").inner_text()
        page.get_by_label("Find").fill("")
        assert len(seen.shown()) == RAN + IDLE
        assert page.get_by_role("region", name="All cases of siglip").is_visible()  # a model of which nothing ran
        page.get_by_role("button", name="engine").first.click()
        assert len(seen.shown()) == RAN + IDLE
        page.get_by_label("also what did not run").uncheck()
        assert len(seen.shown()) == RAN


def test_a_case_that_did_not_run_stands_at_its_batch(opened: Any) -> None:
    alone = row(case("openvino", "int8", batch=4), "matrix", outcome="skipped", reason="not here")
    with opened([*ROWS[:-1], alone, ROWS[-1]]) as seen:
        seen.page.get_by_label("also what did not run").check()
        groups = seen.page.locator(".cases").first.locator("tr.group:visible").all_inner_texts()
        assert groups == ["batch 1", "batch 4", "batch 8"]


def test_the_csv_of_all_cases_is_that_of_the_file_and_a_filter_cuts_it(opened: Any) -> None:
    with opened() as seen:
        seen.page.get_by_label("also what did not run").check()
        with (seen.path.parent / "report.csv").open(newline="", encoding="utf-8") as file:
            everything = list(csv.DictReader(file))
        by_id = sorted(seen.downloaded(), key=lambda line: line["case"])
        assert by_id == sorted(everything, key=lambda line: line["case"])
        assert seen.status() == f"{RAN + IDLE} cases downloaded"
        seen.choose("Gate", "fail")
        assert [line["case"] for line in seen.downloaded()] == [INT8["id"]]


def test_the_csv_keeps_the_order_that_the_reader_sees(opened: Any) -> None:
    with opened() as seen:
        seen.choose("Model", "YOLOv8n")
        seen.page.get_by_role("button", name="speed-up").first.click()
        seen.page.get_by_role("button", name="speed-up").first.click()
        assert [line["case"] for line in seen.downloaded()] == seen.shown()


def test_the_shown_cases_are_copied(opened: Any) -> None:
    with opened(permissions=["clipboard-read", "clipboard-write"]) as seen:
        seen.choose("Gate", "fail")
        seen.page.get_by_role("button", name="Copy as CSV").click()
        seen.page.get_by_text("1 case copied").wait_for()
        head, line = csv.reader(io.StringIO(seen.page.evaluate("navigator.clipboard.readText()")))
        assert head == list(build_table(ROWS).columns)
        assert line[0] == INT8["id"] and float(line[head.index("p50_ms")]) == 2.0


def test_a_browser_that_forbids_copying_says_so(opened: Any) -> None:
    with opened() as seen:
        seen.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
        seen.page.get_by_role("button", name="Copy as CSV").click()
        seen.page.get_by_text("does not let a page copy").wait_for()


@pytest.mark.parametrize(("size", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_hover_and_focus_show_the_figures_of_a_point(opened: Any, size: dict[str, int], scheme: str) -> None:
    with opened(size=size, scheme=scheme) as seen:
        figure = seen.page.locator("figure").filter(has_text="Speed against accuracy, batch 8").first
        readout = figure.locator(".readout")
        figure.get_by_role("img", name=called(INT8)).hover()
        assert f"{called(INT8)}: 2.00×" in readout.inner_text() and "gate: fail" in readout.inner_text()
        points = figure.locator(".point")
        assert points.count() == 3
        assert figure.locator(".point[tabindex='0']").count() == 1  # one stop for the Tab key
        points.first.focus()
        titles = set()
        for _ in range(points.count()):
            seen.page.keyboard.press("ArrowRight")
            titles.add(readout.inner_text())
        assert len(titles) == points.count()
        assert all(any(called(each) in words for words in titles) for each in (BASE, INT8, FAST))


def test_marks_of_equal_engines_can_be_told_apart_by_a_finger(opened: Any) -> None:
    twin = case("trtexec", "fp16")
    near = [build(twin), card_speed(twin, 1.01), accuracy(twin, 0.99)]
    with opened([*ROWS[:-1], *near, ROWS[-1]], size=PHONE) as seen:
        figure = seen.page.locator("figure").filter(has_text="Speed against accuracy, batch 8").first
        for each in (FAST, twin, INT8):
            figure.get_by_role("img", name=called(each)).hover()
            titles = figure.locator(".readout span").all_inner_texts()
            assert [words.split(":")[0] for words in titles] == [called(each)]


def test_each_picture_stands_there_as_a_table_too(opened: Any) -> None:
    with opened(java_script_enabled=False) as seen:
        figure = seen.page.locator("figure").filter(has_text="Speed against accuracy, batch 8").first
        figure.locator("details.same summary").click()
        lines = [" ".join(line.split()) for line in figure.locator("tbody tr").all_inner_texts()]
        assert lines == [
            "1 TensorRT FP16 4.00× 3.94–4.06 99.0 % 98.2–99.8 pass",
            "2 ONNX Runtime INT8 2.00× 1.97–2.03 93.0 % 92.2–93.8 fail",
            "3 PyTorch FP32 1.00× 1.00–1.00 100.0 % 99.2–100.8 pass",
        ]


@pytest.mark.parametrize(("size", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_without_scripts_every_figure_and_verdict_is_text_and_nothing_is_dead(
    opened: Any, size: dict[str, int], scheme: str
) -> None:
    with opened(size=size, scheme=scheme) as off, opened(size=size, scheme=scheme, java_script_enabled=False) as still:
        text = whole(still.page)
        assert still.page.locator("button, input, select, .readout, [role=status]").count() == 0
        assert not [finding.text for finding in find(ROWS) if " ".join(finding.text.split()) not in text]
        rows = off.page.locator("tr[data-csv]:visible").evaluate_all(CELLS)
        assert len(rows) == RAN and rows == still.page.locator("tr[data-csv]").evaluate_all(CELLS)
        folds = still.page.locator("#idle details")
        assert folds.locator("summary").all_inner_texts() == [
            "1 case: no trtexec on this machine", "1 case: no such model here",
        ]  # fmt: skip
        folds.first.locator("summary").click()
        assert folds.first.locator("li:visible").all_inner_texts() == ["YOLOv8n · trtexec INT8 · batch 1"]
        assert still.page.locator(".point[tabindex='0'] title").count() == still.page.locator(".point").count() > 3


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_case_in_the_table_leads_to_its_reasons(opened: Any, size: dict[str, int], scripts: bool) -> None:
    with opened(size=size, java_script_enabled=scripts) as seen:
        reasons = seen.page.locator("details", has_text=INT8["id"])
        assert reasons.get_attribute("open") is None
        seen.page.locator(f"tr[data-csv^='{INT8['id']},']").get_by_role("link").click()
        reasons.locator("p.id").wait_for(state="visible")
        assert seen.page.locator("details[open]").count() == 1
        titles = reasons.locator("ul.changed li")
        assert titles.inner_text() == "Image 17. Only the baseline sees: a cat; only this engine sees: <b>a dog</b>."
        assert titles.locator("img").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [72, 48]
        assert reasons.get_by_role("img", name="The card while").is_visible()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_literally_and_runs_nothing(opened: Any, name: str) -> None:
    model = {"model": name}
    evil, base = case("tensorrt", "int8", **model), case("pytorch", "fp32", **model)
    rows = [
        session_row(gpu=name, name=name, why=name, yolo={"path": name, "name": name}),
        *(build(base, notes=[name]), card_speed(base, 4.0), accuracy(base, 1.0)),
        *(build(evil), card_speed(evil, 2.0), accuracy(evil, 0.9, reason=name)),
        row(case("trtexec", "int8", **model), "matrix", outcome="skipped", reason=name),
        row(case(name, "int8", model=f"only {name}"), "matrix", outcome="skipped", reason=name),
        end_row(1),
    ]
    words = " ".join(name.split())
    with opened(rows) as seen:
        page = seen.page
        page.get_by_label("also what did not run").check()
        assert len(seen.shown()) == 4
        page.locator(".point").first.focus()
        assert words in " ".join(page.locator(".readout").first.inner_text().split())
        assert words in " ".join(page.locator("td.idle").first.inner_text().split())
        assert words in " ".join(page.locator(".unanswered").inner_text().split())
        page.get_by_role("combobox", name="Model").select_option(index=1)
        assert len(seen.shown()) == 3
        assert {line["model"] for line in seen.downloaded()} == {name}
        page.get_by_role("button", name="engine").first.click()
        assert page.evaluate("document.scripts.length") == 1
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_an_injected_script_would_not_run(opened: Any, tmp_path: Path) -> None:
    injected = tmp_path / "report.html"
    injected.write_text(render(ROWS).replace("</header>", "<script>alert(1)</script></header>"), encoding="utf-8")
    with opened(injected) as seen:
        assert any("violates the following Content Security Policy" in said for said in seen.complaints)
        assert not any("dialog" in said for said in seen.complaints)
        seen.complaints.clear()


@pytest.mark.parametrize("rows", [[session_row(), end_row()], [*ROWS[:1], *ROWS[-4:]]], ids=["nothing", "no baseline"])
def test_a_page_with_few_cases_works(opened: Any, rows: list[Row]) -> None:
    with opened(rows, size=PHONE) as seen:
        assert seen.page.locator("h2").count() > 1


# The room that A4 has in landscape between its margins, in CSS pixels.
PAPER = {"width": 1032, "height": 703}
# Headings of tables of which something lies outside the paper.
OFF_PAPER = """() => [...document.querySelectorAll('.scroll th, .scroll td')].filter(
  cell => cell.getBoundingClientRect().right > innerWidth + 1).map(cell => cell.innerText)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_print_has_pages_without_controls(opened: Any, scheme: str) -> None:
    with opened(scheme=scheme, size=PAPER) as seen:
        page = seen.page
        pdf = page.pdf(prefer_css_page_size=True)
        assert pdf.startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
        page.emulate_media(media="print", color_scheme=scheme)
        assert page.locator(".tools:visible, .shown:visible").count() == 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        # A heading and what it says of the section stay with the first card; a card and an interval are never cut.
        asked = {
            "#speed": "breakAfter",
            "figcaption": "breakAfter",
            ".answer": "breakInside",
            ".choice": "breakInside",
            "figure": "breakInside",
        }
        for selector, what in asked.items():
            assert page.locator(selector).first.evaluate(f"each => getComputedStyle(each).{what}") == "avoid", selector
        assert page.locator("td .interval").first.evaluate("each => getComputedStyle(each).whiteSpace") == "nowrap"


def test_on_paper_what_broke_is_open_and_the_rest_is_not(opened: Any) -> None:
    with opened(size=PAPER) as seen:
        seen.page.emulate_media(media="print")
        # What a fold hides is decided when a frame is drawn, which a busy machine may do late.
        seen.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        shown = seen.page.locator("ul.why > li > details").evaluate_all(
            "folds => folds.filter(each => each.querySelector('p').checkVisibility({contentVisibilityAuto: true}))"
            ".map(each => each.querySelector('p').textContent)"
        )
        assert set(shown) == {INT8["id"], BROKEN["id"]}


@pytest.mark.parametrize("published", MATRICES, ids=MATRIX_NAMES)
def test_a_real_table_is_whole_on_paper(opened: Any, published: Path) -> None:
    with opened(rows_of(published), size=PAPER) as seen:
        seen.page.emulate_media(media="print")
        heads = seen.page.locator(".cases").first.locator("thead th").all_inner_texts()
        assert [each for each in heads if "took" in each]
        assert seen.page.evaluate(OFF_PAPER) == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_axe_finds_nothing_serious(opened: Any, size: dict[str, int], scheme: str) -> None:
    # The page's policy runs no script but its own; axe is put in from outside, past it.
    with opened(size=size, scheme=scheme, bypass_csp=True) as seen:
        seen.page.get_by_label("also what did not run").check()
        seen.page.get_by_role("button", name="speed-up").first.click()
        assert grave(seen.page) == []


def test_a_grey_too_light_is_found_even_in_a_table_that_scrolls(opened: Any) -> None:
    with opened(bypass_csp=True) as seen:
        seen.page.add_style_tag(content="td .interval { color: #ccc; }")
        assert [rule for rule, _ in grave(seen.page)] == ["color-contrast"]


@pytest.fixture(scope="module")
def with_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the last of some nights in which one case became slower."""
    folder = tmp_path_factory.mktemp("nights")
    for number in range(12):
        slow = 1.0 if number < 8 else 1.2
        rows = night(number, *(build(BASE), card_speed(BASE, 4.0 * slow)), *(build(FAST), card_speed(FAST, 2.0)))
        append(folder / "history", rows)
    return write_report(rows, folder / "report", load(folder / "history"))


@pytest.fixture(scope="module")
def side_by_side(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, before and after an update."""
    path = tmp_path_factory.mktemp("compare") / "two.html"
    after = [each | {"session": "after"} for each in [*ROWS[:4], *ROWS[7:]]]
    path.write_text(render_two(compare(ROWS, after)), encoding="utf-8")
    return path


@pytest.mark.parametrize("page", ["with_nights", "side_by_side"])
@pytest.mark.parametrize(("size", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_a_history_and_two_runs_work_on_every_screen(
    opened: Any, size: dict[str, int], scheme: str, page: str, request: pytest.FixtureRequest
) -> None:
    with opened(request.getfixturevalue(page), size=size, scheme=scheme, bypass_csp=True) as seen:
        assert seen.page.get_by_role("region", name="Table: ").count() >= 1
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert seen.page.evaluate(CUT_OFF) == []
        if page == "with_nights":
            assert seen.page.locator("#since").inner_text() == "Since when"
            assert seen.page.locator("svg.nights").count() >= 2
        assert grave(seen.page) == []


# Names of SVG texts that reach beyond their picture, where they are cut off. A pixel is rounding.
CUT_OFF = """() => {
  for (const fold of document.querySelectorAll('details')) fold.open = true;
  return [...document.querySelectorAll('svg text')].filter(text => {
    const inner = text.getBoundingClientRect(), outer = text.closest('svg').getBoundingClientRect();
    return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.top < outer.top - 1
        || inner.bottom > outer.bottom + 1;
  }).map(text => text.textContent);
}"""


def test_there_are_published_runs() -> None:
    assert PUBLISHED


@pytest.mark.parametrize(("size", "scheme"), LOOKS, ids=LOOK_NAMES)
def test_a_real_run_works_on_every_screen(opened: Any, record: Path, size: dict[str, int], scheme: str) -> None:
    rows = rows_of(record)
    with opened(rows, size=size, scheme=scheme, bypass_csp=True) as seen:
        page = seen.page
        if any(row["kind"] == "case" and row["question"] == "matrix" for row in rows):
            page.get_by_label("also what did not run").check()
        assert len(seen.shown()) == len(build_table(rows))
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        page.get_by_role("button", name="speed-up").first.click()
        assert "sorted by" in seen.status()
        seen.choose("Precision", max(row["case"]["precision"] for row in rows if row["kind"] == "case").upper())
        shown = seen.shown()
        assert 0 < len(shown) < len(build_table(rows))
        assert [line["case"] for line in seen.downloaded()] == shown
        # By force: another mark may lie above it, whose figures are as good.
        page.locator(".point").first.hover(force=True)
        assert "×" in page.locator(".readout").first.inner_text()
        assert page.locator("svg text").count() > 10
        assert page.evaluate(CUT_OFF) == []
        assert grave(page) == []


def test_a_real_run_prints_and_needs_no_scripts(opened: Any, record: Path) -> None:
    rows = rows_of(record)
    with opened(rows, java_script_enabled=False) as still:
        text = whole(still.page)
        assert not [finding.text for finding in find(rows) if " ".join(finding.text.split()) not in text]
        assert len(re.findall(rb"/Type\s*/Page\b", still.page.pdf(prefer_css_page_size=True))) >= 4
        still.page.emulate_media(media="print")
        still.page.set_viewport_size(PAPER)
        cards = still.page.locator(".choice")  # folded on a screen, open on paper
        titles = [f"{model_name(choice.model)} · batch {choice.batch}" for choice in recommend(rows)]
        assert [each.split("\n")[0] for each in cards.all_inner_texts()] == titles


@pytest.mark.parametrize("published", PUBLISHED, ids=PUBLISHED_NAMES)
def test_the_page_that_was_published_is_that_of_its_record(browser: Any, published: Path) -> None:
    """Page, JSON and CSV have the figures of the record: nobody changed one of them by hand."""
    rows = read_rows(published)
    figures = json.loads(json.dumps(as_data(rows)["table"], allow_nan=False, default=str))
    assert json.loads(published.with_name("report.json").read_text(encoding="utf-8"))["table"] == figures
    assert published.with_name("report.csv").read_text(encoding="utf-8") == build_table(rows).to_csv(index=False)
    page = browser.new_page()
    page.goto(published.with_name("report.html").as_uri())
    lines = page.locator("tr[data-csv]").evaluate_all("found => found.map(row => row.dataset.csv)")
    everything = csv.reader(io.StringIO(build_table(rows).to_csv(index=False), newline=""))
    assert sorted(next(csv.reader([line])) for line in lines) == sorted(list(everything)[1:])
    fresh = browser.new_page()
    fresh.set_content(render(rows))
    words = "() => document.querySelector('main').innerText"
    assert page.evaluate(words) == fresh.evaluate(words)
    fresh.close()
    assert page.locator("h1").inner_text() in published.with_name("README.md").read_text(encoding="utf-8")
    page.close()
