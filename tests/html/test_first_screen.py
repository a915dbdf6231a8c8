"""What a reader sees first, on a phone and at a desk: the answer, what broke, and nothing that hides them.

The runs: a rehearsal on a CPU, each published run, and one on a GPU in which a gate failed, a case crashed, another
became slower, and timings are rough.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from fixtures import ROOT
from reports.analysis.certainty import LIKELY
from reports.findings.reading import Reading, read
from reports.findings.run import find
from reports.history.session_regressions import judge
from reports.html.page import render, write_report
from reports.record.schema import Row
from reports.record.store import read_rows
from reports.text.formatting import percent_interval, significant
from reports.text.names import unit
from tests.helpers.browsing import FIGURE, FIRST_SCREENS, WORDS, grave, needs_browser
from tests.helpers.pipelines import timed_pipelines
from tests.helpers.rows import answered, case, end_row, session_row
from tests.helpers.runs_to_read import rehearsal, troubled

pytestmark = needs_browser

PUBLISHED = ROOT / "reports" / "published" / "h200" / "rows.jsonl"
THROUGHPUT = ROOT / "reports" / "published" / "h200-throughput" / "rows.jsonl"
ROWS = rehearsal()
LOOKS = [(size, scheme) for size in FIRST_SCREENS for scheme in ("light", "dark")]
# A page of A4 in landscape, and how many of them a published run may take.
MOST_PAGES = 12
MOST_WORDS = 250
MOST_LINES = 3
TYPE_SIZES = {12.0, 13.5, 15.0, 18.0, 22.0, 30.0}
# What must be seen without scrolling: of the whole page, and of each model's card.
ONCE = ("h1", ".when", ".status")
EACH = ("h3", ".engine", ".big", ".accuracy")
# The sentence of each card with the boxes of its parts, the boxes of what stands once, and the page's width.
BOXES = """([each, once]) => {
  const box = (part) => part.getBoundingClientRect().toJSON();
  const boxes = (whole, names) => Object.fromEntries(names.map((name) => {
    const part = whole.querySelector(name);
    return [name, part && box(part)];
  }));
  const cards = Array.from(document.querySelectorAll('.answer'), (card) => [card.dataset.sentence, boxes(card, each)]);
  return [cards, boxes(document, once), document.documentElement.scrollWidth];
}"""
# The visible words above the table, the labels of pictures left out; they are counted apart.
WORDS_ABOVE = """() => {
  const table = document.getElementById('table'), seen = { words: 0, labels: 0 };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, parent = text.parentElement;
    if (table.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING) break;
    if (!parent.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true })) continue;
    if (parent.closest('script, style, .unseen')) continue;
    seen[parent.closest('svg') ? 'labels' : 'words'] += text.data.split(/\\s+/).filter(Boolean).length;
  }
  return seen;
}"""
# The lines of text that stand between the header and the first card.
LINES_BETWEEN = """() => {
  const top = document.querySelector('header').getBoundingClientRect().bottom;
  const bottom = document.querySelector('.answer').getBoundingClientRect().top;
  const middles = [];
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || parent.closest('.unseen')) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const box of range.getClientRects()) {
      const middle = (box.top + box.bottom) / 2;
      if (middle > top && middle < bottom && !middles.some((each) => Math.abs(each - middle) < 8)) middles.push(middle);
    }
  }
  return middles.length;
}"""
SIZES = """() => {
  const found = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() && !parent.closest('svg, script, style')) {
      found.add(parseFloat(getComputedStyle(parent).fontSize));
    }
  }
  return [...found];
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Reading]]:
    """Each run's page, and what it has to tell first."""
    folder = tmp_path_factory.mktemp("pages")
    rows, history = troubled(folder / "history")
    since = judge(history, rows[0]["session"])
    published = read_rows(PUBLISHED)
    piped = [session_row(gpu="NVIDIA H200"), *timed_pipelines("s"), end_row()]
    both = [*published[:-1], *timed_pipelines(published[0]["session"]), published[-1]]
    return {
        "rehearsal": (write_report(ROWS, folder / "rehearsal"), read(ROWS)),
        "published": (write_report(published, folder / "published"), read(published)),
        "troubled": (write_report(rows, folder / "troubled", history, since), read(rows, since, history)),
        "pipelines": (write_report(piped, folder / "pipelines"), read(piped)),
        "throughput": (write_report(read_rows(THROUGHPUT), folder / "throughput"), read(read_rows(THROUGHPUT))),
        "both": (write_report(both, folder / "both"), read(both)),
    }


@pytest.mark.parametrize("kind", ["rehearsal", "published", "throughput", "troubled", "pipelines", "both"])
def test_the_first_screen_has_every_answer_and_how_it_went(
    opened: Any, pages: dict[str, tuple[Path, Reading]], kind: str
) -> None:
    page, reading = pages[kind]
    with opened(page) as seen:
        for size, scheme in LOOKS:
            seen.page.set_viewport_size(size)
            seen.page.emulate_media(color_scheme=scheme)
            cards, once, width = seen.page.evaluate(BOXES, [EACH, ONCE])
            assert len(cards) == len(reading.sentences) == {"pipelines": 2, "both": 5}.get(kind, 3)
            for (said, boxes), sentence in zip(cards, reading.sentences, strict=True):
                assert said == sentence
                outside = {name: box for name, box in boxes.items() if not _within(box, size)}
                assert outside == {}, (size, scheme, sentence)
            below = {name for name, box in once.items() if not _within(box, size)}
            assert below == set() and set(once) == set(ONCE), (size, scheme)
            assert width <= size["width"]
            if scheme == "light":  # the type is of the screen
                assert set(seen.page.evaluate(SIZES)) <= TYPE_SIZES
        _cards_say_what_the_answers_are(seen, reading)


# The box of each picture of a pipeline's stages, and those of its labels.
LABELS = """() => Array.from(document.querySelectorAll('.waterfalls svg'), (picture) => [
  picture.getBoundingClientRect().toJSON(),
  Array.from(picture.querySelectorAll('text'), (label) => label.getBoundingClientRect().toJSON())])"""


def _within(box: dict[str, float] | None, size: dict[str, int]) -> bool:
    """Whether a box of some size lies on the screen whole."""
    if not box or not box["width"] or not box["height"]:
        return False
    across = box["x"] >= 0 and box["x"] + box["width"] <= size["width"]
    return across and box["y"] >= 0 and box["y"] + box["height"] <= size["height"]


def test_a_card_below_the_screen_is_noticed(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    with opened(pages["rehearsal"][0], size=FIRST_SCREENS[0]) as seen:
        seen.page.add_style_tag(content=".status { padding-bottom: 400px; }")
        last = seen.page.locator(".answer").last.locator(".big").first
        assert not _within(last.bounding_box(), FIRST_SCREENS[0])


def _cards_say_what_the_answers_are(seen: Any, reading: Reading) -> None:
    pipelines = len(reading.sentences) - len(reading.answers)
    for place, answer in enumerate(reading.answers):
        card = seen.page.locator(".answer").nth(pipelines + place)
        assert card.get_attribute("data-sentence") == answer.sentence
        engine = " ".join(card.locator(".engine").inner_text().split())
        assert all(case.engine in engine for case in answer.throughput.ship)
        mark = " ".join(card.locator(".accuracy").inner_text().split())
        assert f"accuracy {answer.throughput.accuracy}" in mark
        if answer.throughput.accuracy == LIKELY:
            # What is likely, and of which interval: the gate in the mark, the interval beside what is kept.
            assert "likely ≥ 98" in mark
            assert f"({percent_interval(answer.throughput.judged.ratio)})" in card.locator(".facts").inner_text()
        many, alone = (" ".join(each.inner_text().split()) for each in card.locator(".use").all())
        assert "(throughput)" in many and f"batch {answer.throughput.batch}" in many and unit(answer.model) in many
        assert "(latency)" in alone
        if answer.latency is None:
            assert "not measured" in alone
        else:
            assert f"{significant(answer.latency.image_ms)} ms" in alone and answer.latency.shown.engine in alone
        bars = card.locator(".race li")
        assert bars.count() == len(answer.throughput.contestants) == 3
        ours = card.locator(".race li.ours .rate").inner_text()
        assert card.locator(".big b").first.inner_text() == ours


# Of each card the tops of its two uses, in the order of the page.
USES = """() => Array.from(document.querySelectorAll('.answer'),
  (card) => Array.from(card.querySelectorAll('.use .for'), (use) => Math.round(use.getBoundingClientRect().top)))"""
# Of each bar where its name ends and where the bar begins, and whether the name was cut.
NAMES = """() => Array.from(document.querySelectorAll('svg.bars .point'), (point) => [
  point.querySelector('.engine').getBoundingClientRect().right,
  point.querySelector('rect').getBoundingClientRect().left,
  point.querySelector('.engine').textContent])"""


def test_the_two_uses_stand_at_the_same_place_in_each_card(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    for kind in ("rehearsal", "throughput"):
        with opened(pages[kind][0], size=FIRST_SCREENS[1]) as seen:
            tops = seen.page.evaluate(USES)
            assert len(tops) == 3 and tops[0] == tops[1] == tops[2] and tops[0][0] < tops[0][1]


def test_engines_that_differ_by_their_callers_alone_are_one_name(
    opened: Any, pages: dict[str, tuple[Path, Reading]]
) -> None:
    with opened(pages["throughput"][0]) as seen:
        uses = [" ".join(use.split()) for use in seen.page.locator(".use").all_inner_texts()]
        assert uses[2] == (
            "Photo library (throughput) 36 207 img/s TensorRT FP16 + CUDA graph batch 128, 1 or 2 streams, equally fast"
        )
        assert uses[3] == "One photo (latency) 0.726 ms torch.compile FP16 + CUDA graph"
        assert uses[4].startswith("Many texts (throughput)") and uses[5].startswith("One text (latency)")


@pytest.mark.parametrize("size", FIRST_SCREENS, ids=["phone", "desk"])
def test_no_name_of_an_engine_is_cut_or_covered_by_its_bar(
    opened: Any, pages: dict[str, tuple[Path, Reading]], size: dict[str, int]
) -> None:
    with opened(pages["throughput"][0], size=size) as seen:
        names = seen.page.evaluate(NAMES)
        assert len(names) > 20 and any(name.endswith("×2") for _, _, name in names)
        for right, left, name in names:
            assert right <= left and "…" not in name
        assert "2 streams" in seen.page.locator(".legend").inner_text()
        races = seen.page.locator(".race .backend").evaluate_all(
            "found => found.map(each => each.scrollWidth - each.clientWidth)"
        )
        assert len(races) == 9 and max(races) <= 0


def test_a_busy_card_at_its_power_limit_is_not_called_rough(
    opened: Any, pages: dict[str, tuple[Path, Reading]]
) -> None:
    with opened(pages["throughput"][0]) as seen:
        facts = seen.page.locator(".answer .facts").all_inner_texts()
        assert len(facts) == 3
        for told in facts:
            assert "at the card's power limit" in told and "rough timing" not in told
        assert "machine quiet" in seen.page.locator(".when").inner_text()


def test_the_interval_is_told_on_demand(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    with opened(pages["published"][0], java_script_enabled=False) as seen:
        fold = seen.page.locator(".answer").first.locator("details")
        told = fold.get_by_text("100.4\u202f% (97.5–101.2) of the baseline's mAP50-95")
        assert not told.is_visible()
        fold.locator("summary").focus()
        seen.page.keyboard.press("Enter")
        assert told.is_visible()


def test_the_status_leads_to_what_broke_and_to_the_doubts(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    page, reading = pages["troubled"]
    with opened(page) as seen:
        told = seen.page.locator(".status a").all_inner_texts()
        assert [re.sub(r"^\W+", "", words) for words in told[:-1]] == [
            "2 failed the gate", "2 crashed", "1 became worse",
        ]  # fmt: skip
        assert {link.get_attribute("href") for link in seen.page.locator(".status a").all()} == {"#broken", "#sure"}
        # Closed, each is one short line; the whole story is a click away.
        told = seen.page.locator("ul.broken > li")
        lines = [" ".join(line.split()) for line in told.all_inner_texts()]
        assert len(lines) == len(reading.broken) == 3
        assert lines == [
            "crashed CLIP image · torch.compile FP16 · batch 1 and 8 build: no C++ compiler found, "
            "passed last on 2026-01-01 install g++",
            "failed the gate YOLOv8n · TensorRT INT8 · batch 1 and 8 keeps 93.0 % of mAP50-95 (98 % needed), "
            "passed last on 2026-01-01 do not ship it",
            "became worse YOLOv8n · TensorRT FP16 · batch 8 device time +25.0 % (limit 3 %) and 1 more figure, "
            "since 2026-01-01 compare with the last good run",
        ]
        for place in range(len(lines)):
            told.nth(place).locator("summary").click()
        lines = told.all_inner_texts()
        assert "YOLOv8n · TensorRT INT8 · batch 1 and 8: keeps 93.0\u202f% (92.2–93.8)" in lines[1]
        assert "Passed last on 2026-01-01, commit c18." in lines[0] and "Passed last on" in lines[1]
        assert "device time is 25.0\u202f%" in lines[2] and "(commit c15..c16; same versions)" in lines[2]
        assert seen.page.locator("ul.broken .level").all_inner_texts() == ["crashed", "failed the gate", "became worse"]
        assert all(seen.page.locator("ul.broken .mend").nth(place).inner_text() for place in range(len(lines)))
        # Commands stand at the ends of the lines, and nowhere in a sentence.
        commands = seen.page.locator("ul.broken li .then > code:last-child").all_inner_texts()
        assert commands == [each.mend.command for each in reading.broken]


def test_a_run_in_which_nothing_broke_has_no_such_section(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    with opened(pages["rehearsal"][0]) as seen:
        assert seen.page.locator("#broken").count() == 0
        assert "All 42 cases passed" in seen.page.locator(".status .ok").inner_text()


@pytest.mark.parametrize("size", FIRST_SCREENS, ids=["phone", "desk"])
def test_little_stands_before_the_answer(
    opened: Any, pages: dict[str, tuple[Path, Reading]], size: dict[str, int]
) -> None:
    with opened(pages["rehearsal"][0], size=size) as seen:
        between = seen.page.evaluate(LINES_BETWEEN)
        print(f"\n{size['width']}: {between} lines between the header and the first recommendation")
        assert 2 <= between <= MOST_LINES


def test_few_words_stand_above_the_table(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    with opened(pages["rehearsal"][0]) as seen:
        found = seen.page.evaluate(WORDS_ABOVE)
        print(f"\n{found['words']} words above the table, and {found['labels']} in the labels of pictures")
        assert 100 < found["words"] <= MOST_WORDS
        said = seen.page.locator("body").inner_text().count("rehearsal")
        assert said == 1


def test_no_figure_of_the_published_page_was_lost(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    """Against the figures of the page that this one took the place of."""
    needed = (ROOT / "tests" / "data" / "published_figures.txt").read_text(encoding="utf-8").split("\n")[:-1]
    with opened(pages["published"][0]) as seen:
        found = set(FIGURE.findall(seen.page.evaluate(WORDS)))
        lost = [figure for figure in needed if figure not in found]
        print(f"\n{len(needed)} figures were on the page before, {len(lost)} are not on this one: {lost[:20]}")
        assert len(needed) > 1000 and lost == []


def test_no_caveat_of_the_published_page_was_lost(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    page, reading = pages["published"]
    needed = [finding.text for finding in find(read_rows(PUBLISHED))]
    for choice in reading.choices:
        needed += [choice.text, *filter(None, [choice.int8, choice.runner_up])]
    needed.append("Absolute times hold for this card alone; ratios carry over to other cards only with care")
    with opened(page, java_script_enabled=False) as seen:
        text = " ".join(seen.page.locator("body").evaluate("body => body.textContent").split())
        lost = [each for each in needed if " ".join(each.split()) not in text]
        print(f"\n{len(needed)} findings and recommendations, {len(lost)} lost")
        assert len(needed) >= 18 and lost == []


def test_a_figure_that_is_lost_is_noticed(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    with opened(pages["published"][0]) as seen:
        seen.page.locator("#accuracy").evaluate("heading => heading.parentElement.remove()")
        found = set(FIGURE.findall(seen.page.evaluate(WORDS)))
        needed = (ROOT / "tests" / "data" / "published_figures.txt").read_text(encoding="utf-8").split("\n")[:-1]
        assert not set(needed) <= found


# Each page once, either screen and either scheme: the colours are of the scheme, the layout is of the screen.
@pytest.mark.parametrize(("kind", "look"), [("rehearsal", 1), ("troubled", 0), ("pipelines", 3)], ids=str)
def test_axe_finds_nothing_serious(opened: Any, pages: dict[str, tuple[Path, Reading]], kind: str, look: int) -> None:
    size, scheme = LOOKS[look]
    with opened(pages[kind][0], size=size, scheme=scheme, bypass_csp=True) as seen:
        assert grave(seen.page) == []


def test_the_published_run_prints_on_few_pages(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    with opened(pages["published"][0], java_script_enabled=False) as seen:
        pdf = seen.page.pdf(prefer_css_page_size=True)
        count = len(re.findall(rb"/Type\s*/Page\b", pdf))
        print(f"\n{count} pages")
        assert 3 <= count <= MOST_PAGES
        seen.page.emulate_media(media="print")
        assert seen.page.get_by_text("Not certain to keep 98\u202f% (the interval").is_visible()


def test_the_answer_can_be_copied_to_send_it_on(opened: Any, pages: dict[str, tuple[Path, Reading]]) -> None:
    page, reading = pages["published"]
    with opened(page, permissions=["clipboard-read", "clipboard-write"]) as seen:
        seen.page.get_by_role("button", name="Copy the answer").click()
        seen.page.get_by_text("Copied").wait_for()
        copied = seen.page.evaluate("navigator.clipboard.readText()")
        assert copied == "\n".join(answer.sentence for answer in reading.answers)


def test_the_contents_open_by_keyboard_and_lead_to_the_table(
    opened: Any, pages: dict[str, tuple[Path, Reading]]
) -> None:
    with opened(pages["published"][0], size=FIRST_SCREENS[0]) as seen:
        link = seen.page.locator(".contents a", has_text="All cases that ran")
        assert not link.is_visible()
        seen.page.locator(".contents summary").focus()
        seen.page.keyboard.press("Enter")
        link.click()
        assert seen.page.url.endswith("#table")


def test_many_models_keep_their_names_and_speeds(opened: Any) -> None:
    rows: list[Row] = [session_row()]
    for number in range(8):
        model = f"a-model-with-a-rather-long-name-{number}"
        rows += [
            *answered(case("pytorch", "fp32", model=model), 40.0),
            *answered(case("tensorrt", "int8", model=model), 9.0),
        ]
    with opened([*rows, end_row()], size=FIRST_SCREENS[0]) as seen:
        assert seen.page.locator(".answer").count() == 8
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= FIRST_SCREENS[0]["width"]


def test_a_model_that_was_not_judged_says_so_on_its_card() -> None:
    base, fast = case("pytorch", "fp32"), case("tensorrt", "fp16")
    timed = [row for row in (*answered(base, 40.0), *answered(fast, 9.0)) if row.get("question") != "accuracy"]
    page = render([session_row(gpu="NVIDIA H200"), *timed, end_row()])
    assert "No recommendation; measured" in page and "accuracy not judged" in page


@pytest.mark.parametrize("size", FIRST_SCREENS, ids=["phone", "desk"])
def test_a_pipeline_keeps_its_name_in_words(
    opened: Any, pages: dict[str, tuple[Path, Reading]], size: dict[str, int]
) -> None:
    """No name is broken letter by letter, no label of a picture is cut off, and only tables scroll sideways."""
    with opened(pages["pipelines"][0], size=size) as seen:
        heads = seen.page.locator(".pipelines .names tbody th")
        assert heads.count() == 4
        # An id of 60 characters took thirteen lines, 260 px.
        assert max(head.bounding_box()["height"] for head in heads.all()) < 180
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        pictures = seen.page.evaluate(LABELS)
        assert len(pictures) == 4 and all(len(labels) > 5 for _, labels in pictures)
        for whole, labels in pictures:
            for box in labels:
                assert box["height"] >= 11 and box["left"] >= whole["left"] and box["top"] >= whole["top"] - 1
                assert box["right"] <= whole["right"]
