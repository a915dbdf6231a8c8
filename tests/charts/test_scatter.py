"""Speed against accuracy: who stands on the front, who has a name, and that nothing is cut off."""

import itertools
import math
import random
import re

import numpy as np
import pytest

from fixtures import ROOT
from reports.analysis.cases import CaseSummary, summarize
from reports.analysis.pareto import pareto_front
from reports.charts.label_placement import HEIGHT_PX, Box, place_labels
from reports.charts.scatter import GLYPH_PX, NAMES_THAT_FIT, Panel, legend, pictures
from reports.charts.scatter_axes import HEIGHT, PLOT, WIDTH, Scales, axes
from reports.charts.svg import MARKER_PX
from reports.record.schema import Row
from reports.record.store import read_rows
from tests.helpers.rows import accuracy, answered, build, case, end_row, row, session_row, speed

BASE = case("pytorch", "fp32")
BACKENDS = (
    "torch-compile", "onnxruntime-cuda", "tensorrt", "tensorrt-cuda-graph", "ultralytics-engine", "pytorch-cuda-graph",
)  # fmt: skip


def _cases(*engines: tuple[str, str, float, float]) -> list[CaseSummary]:
    """The baseline at 10 ms, and engines as (backend, precision, milliseconds, accuracy ratio)."""
    rows: list[Row] = [session_row(), *answered(BASE, 10.0)]
    for backend, precision, p50, ratio in engines:
        rows += answered(case(backend, precision), p50, ratio)
    return summarize([*rows, end_row()])


def _many() -> list[CaseSummary]:
    """17 engines of one model, crowded around two speeds."""
    engines = [
        (backend, precision, 9.0 - 0.2 * place - {"fp32": 0, "fp16": 5, "int8": 5.5}[precision], 1.0)
        for place, backend in enumerate(BACKENDS)
        for precision in ("fp32", "fp16", "int8")
        if (backend, precision) not in (("torch-compile", "int8"), ("pytorch-cuda-graph", "int8"))
    ]
    return _cases(*engines)


def _panel(cases: list[CaseSummary]) -> Panel:
    (picture,) = pictures(cases, 0.98)
    (panel,) = picture.panels
    return panel


def _written(panel: Panel) -> list[str]:
    return sorted(re.findall(r'class="name(?: fails)?">([^<]*)', str(panel.svg)))


def _front(cases: list[CaseSummary]) -> list[str]:
    return [each.name for each in pareto_front(cases)]


def test_the_front_is_what_no_other_engine_beats():
    cases = _cases(
        ("tensorrt", "int8", 2.0, 0.985), ("tensorrt", "fp16", 3.0, 0.999), ("torch-compile", "fp16", 5.0, 0.99)
    )
    assert _front(cases) == ["TensorRT INT8", "TensorRT FP16", "PyTorch FP32"]


def test_an_engine_that_fails_is_not_on_the_front():
    assert _front(_cases(("tensorrt", "int8", 1.0, 0.9), ("tensorrt", "fp16", 3.0, 1.0))) == ["TensorRT FP16"]


def test_more_than_the_accuracy_of_the_baseline_counts_as_no_more():
    assert _front(_cases(("tensorrt", "fp16", 2.0, 1.0), ("torch-compile", "fp16", 5.0, 1.02))) == ["TensorRT FP16"]


def test_equals_stand_on_the_front_together():
    cases = _cases(("tensorrt", "fp16", 2.0, 1.0), ("trtexec", "fp16", 2.0, 1.0))
    assert _front(cases) == ["TensorRT FP16", "trtexec FP16"]


def test_an_engine_that_was_not_judged_is_not_on_the_front():
    untold = case("tensorrt", "int8")
    rows = [session_row(), *answered(BASE, 10.0), build(untold), speed(untold, 1.0), end_row()]
    assert _front(summarize(rows)) == ["PyTorch FP32"]


def test_a_crash_has_no_point_and_no_place_on_the_front():
    lost = case("tensorrt", "int8")
    rows = [session_row(), *answered(BASE, 10.0), build(lost), row(lost, "speed", outcome="error"), accuracy(lost, 1.0)]
    panel = _panel(summarize([*rows, end_row()]))
    assert str(panel.svg).count('class="point"') == 1
    assert [each.name for each in panel.front] == ["PyTorch FP32"]


def test_few_engines_have_all_their_names():
    cases = _cases(("tensorrt", "int8", 2.0, 0.9), ("tensorrt", "fp16", 3.0, 1.0), ("torch-compile", "fp16", 5.0, 0.99))
    assert _written(_panel(cases)) == [
        "PyTorch FP32", "TensorRT FP16", "TensorRT INT8 fails", "torch.compile FP16",
    ]  # fmt: skip


def test_of_many_engines_those_have_names_that_a_reader_looks_for():
    cases = [*_many(), *(each for each in _cases(("trtexec", "int8", 8.0, 0.95)) if each.backend == "trtexec")]
    assert len(cases) > NAMES_THAT_FIT
    assert _written(_panel(cases)) == [
        "PyTorch FP32", "Ultralytics engine INT8", "trtexec INT8 fails",
    ]  # fmt: skip
    assert str(_panel(cases).svg).count('class="point"') == len(cases)


@pytest.mark.parametrize("seed", range(20))
def test_no_name_is_cut_off_at_the_edge_of_the_picture(seed: int):
    """Eight engines side by side under the upper edge, as where all keep 100 % of the accuracy."""
    draw = random.Random(seed)
    places = [(draw.uniform(60, 410), draw.uniform(20, 34)) for _ in range(NAMES_THAT_FIT)]
    widths = [draw.uniform(90, 180) for _ in places]
    around = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    for label in place_labels(places, widths, around, PLOT):
        assert label.box.left >= 0 and label.box.top >= 0
        assert label.box.right <= WIDTH and label.box.bottom <= HEIGHT


def test_a_name_is_not_put_where_it_would_be_read_as_that_of_a_nameless_point():
    point, neighbour = (200.0, 150.0), (216.0, 150.0)
    around = [Box(194, 144, 206, 156)]
    (beside,) = place_labels([point], [80.0], around, PLOT)
    assert beside.box.left < neighbour[0] < beside.box.right
    (label,) = place_labels([point], [80.0], around, PLOT, [neighbour])
    assert label.box.right < point[0]


def test_the_legend_has_the_precisions_that_were_timed():
    cases = _cases(("tensorrt", "fp16", 3.0, 1.0), ("torch-compile", "fp16", 5.0, 0.99), ("odd", "int4", 5.0, 0.99))
    assert legend(cases) == [("FP32", "fp32"), ("FP16", "fp16"), ("INT4", "other")]


def test_a_mark_has_the_number_of_its_bar_and_the_shade_of_its_precision():
    drawn = str(_panel(_cases(("tensorrt", "int8", 2.0, 0.9), ("tensorrt", "fp16", 3.0, 1.0))).svg)
    marks = re.findall(r'class="marker ([^"]*)"/?>.*?class="mark-number[^"]*">(\d+)', drawn)
    assert sorted(marks) == [("fp16", "2"), ("fp32", "3"), ("int8 fails", "1")]


def test_a_mark_that_made_room_is_tied_to_its_place_and_never_crosses_the_gate():
    """Nine engines at one place just above the gate, and nine just below it."""
    crowd = [(f"engine-{place}", "fp16", 5.0, 0.9801 if place % 2 else 0.9799) for place in range(18)]
    drawn = str(_panel(_cases(*crowd)).svg)
    (gate,) = {float(y) for y in re.findall(r'y1="([\d.]+)" x2="[\d.]+" y2="[\d.]+" class="gate"', drawn)}
    marks = re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)" r="8" class="marker ([^"]*)"', drawn)
    assert len(marks) == 19
    assert all((float(y) > gate) == ("fails" in kind) for y, kind in marks)
    assert drawn.count('class="tie"') == drawn.count('class="home"') >= 16


PUBLISHED = summarize(read_rows(ROOT / "reports" / "published" / "h200" / "rows.jsonl"))
PANELS = {picture.model: str(panel.svg) for picture in pictures(PUBLISHED, 0.98) for panel in picture.panels}


def _boxes(drawn: str) -> tuple[list[Box], list[Box], list[Box]]:
    """Of a picture the boxes of its names, its markers and its gate."""
    names = [
        Box(x - half, y + 3 - HEIGHT_PX, x + half, y + 3)
        for x, y, half in (
            (float(x), float(y), len(words) * GLYPH_PX / 2)
            for x, y, words in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="name(?: fails)?">([^<]*)', drawn)
        )
    ]
    markers = [
        Box(x - MARKER_PX, y - MARKER_PX, x + MARKER_PX, y + MARKER_PX)
        for x, y in (
            map(float, found) for found in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="8" class="marker', drawn)
        )
    ]
    gate = [
        Box(x1, y - 0.7, x2, y + 0.7)
        for x1, y, x2 in (
            map(float, found)
            for found in re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="[\d.]+" class="gate"', drawn)
        )
    ]
    return names, markers, gate


def _meet(one: Box, other: Box) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    return across > 0 and min(one.bottom, other.bottom) - max(one.top, other.top) > 0


@pytest.mark.parametrize("drawn", PANELS.values(), ids=PANELS)
def test_in_the_published_pictures_no_name_meets_the_gate_a_marker_or_another_name(drawn: str):
    names, markers, gate = _boxes(drawn)
    assert len(names) >= 2 and len(markers) >= 14 and len(gate) == 1
    pairs = [*itertools.combinations(names, 2), *itertools.product(names, [*markers, *gate])]
    assert [(one, other) for one, other in pairs if _meet(one, other)] == []


@pytest.mark.parametrize("drawn", PANELS.values(), ids=PANELS)
def test_in_the_published_pictures_no_mark_covers_another(drawn: str):
    _, markers, _ = _boxes(drawn)
    middles = [((each.left + each.right) / 2, (each.top + each.bottom) / 2) for each in markers]
    assert min(math.dist(*pair) for pair in itertools.combinations(middles, 2)) >= 2 * MARKER_PX


@pytest.mark.parametrize("drawn", PANELS.values(), ids=PANELS)
def test_in_the_published_pictures_the_baseline_stands_at_one(drawn: str):
    """Its mark is on the line of 1×, where a reader looks for it, however crowded that is."""
    ((unity,),) = [re.findall(r'<line x1="([\d.]+)" y1="[\d.]+" x2="[\d.]+" y2="[\d.]+" class="unity"', drawn)]
    (x,) = re.findall(r"PyTorch FP32 · batch 8: [^<]*</title><circle cx=\"([\d.]+)\"", drawn)
    assert float(x) == pytest.approx(float(unity), abs=0.2)


@pytest.mark.parametrize("drawn", PANELS.values(), ids=PANELS)
def test_in_the_published_pictures_nothing_crosses_the_name_of_the_gate(drawn: str):
    names, markers, _ = _boxes(drawn)
    ((left, top),) = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="gate-name"', drawn)
    gate_name = Box(float(left), float(top) - 9, float(left) + 8 * GLYPH_PX, float(top))
    lines = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="error"', drawn)
    bars = [
        Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        for x1, y1, x2, y2 in (map(float, found) for found in lines)
    ]
    assert [each for each in [*names, *markers, *bars] if gate_name.meets(each)] == []


@pytest.mark.parametrize("drawn", PANELS.values(), ids=PANELS)
def test_a_leader_looks_like_no_interval(drawn: str):
    """It is neither upright nor level, and starts beside its marker."""
    lines = re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="leader"', drawn)
    _, markers, _ = _boxes(drawn)
    middles = [((each.left + each.right) / 2, (each.top + each.bottom) / 2) for each in markers]
    for x1, y1, x2, y2 in (map(float, found) for found in lines):
        assert abs(x1 - x2) > 1.5 and abs(y1 - y2) > 1.5
        assert min(math.hypot(x - x1, y - y1) for x, y in middles) > 5


def test_an_interval_has_caps_at_its_ends():
    drawn = str(_panel(_cases(("tensorrt", "fp16", 3.0, 0.99))).svg)
    bars = [
        list(map(float, found))
        for found in re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="error"', drawn)
    ]
    caps = [each for each in bars if abs(each[0] - each[2]) + abs(each[1] - each[3]) == pytest.approx(6)]
    assert len(caps) >= 4


def test_the_words_below_the_axis_lie_inside_the_picture() -> None:
    """A tick may stand on the very edge: its word is centred on it."""
    for fastest in np.geomspace(1.05, 300, 500):
        drawn = "".join(axes(Scales(float(fastest), 0.87, 0.9, 1.02)))
        ticks = re.findall(r'<text x="([\d.]+)" y="[\d.]+" class="tick">([^<]+)</text>', drawn)
        assert ticks
        for x, words in ticks:
            half = GLYPH_PX * len(words) / 2
            assert half <= float(x) <= WIDTH - half, (words, fastest)
