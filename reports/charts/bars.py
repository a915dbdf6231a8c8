"""Speed as bars, as inline SVG: the engines of one model and batch, the fastest first.

Precisions differ by shade and by their word, what fails its gate is struck through, and a rough timing has a whisker
from the slower to the faster end of what it may be. The number before each name is the engine's mark in the picture of
speed against accuracy and in the table. Colours come from the page's CSS.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.analysis.cases import CaseSummary
from reports.analysis.timing_quality import relative_iqr, unreliable
from reports.charts.svg import line, svg, tag, text
from reports.text.formatting import milliseconds, significant, times
from reports.text.names import model_name

WIDTH = 420
ROW_PX, BAR_PX = 20, 11
NUMBER_PX, NAME_PX, BAR_LEFT_PX = 16, 22, 226
# Room for `10 791` behind the longest bar, and with one image at a time for `10 791 · 0.093 ms`.
FIGURE_PX, FIGURES_PX = 48, 112
CAP_PX = 3.5
# What fits between a name's left edge and the bars, in 11.5 px letters, bold ones of a wide font (DejaVu Sans) too:
# the short name of every engine that this project knows, with two callers.
LONGEST_NAME = 30
# A precision that has no shade of its own has the one of `other`.
SHADES = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Bars:
    """The picture of one model and batch, and whether something in it has a whisker or is struck through."""

    batch: int
    svg: Markup
    has_whiskers: bool
    has_struck: bool
    cases: tuple[CaseSummary, ...]


def numbers(cases: Sequence[CaseSummary]) -> dict[str, int]:
    """The place of each ranked case among those of its model and batch, the fastest is 1: its number on the page."""
    groups: dict[tuple[str, int], list[CaseSummary]] = {}
    for case in cases:
        if case.ranked and case.images_per_second is not None:
            groups.setdefault((case.model, case.batch), []).append(case)
    return {
        case.id: place for group in groups.values() for place, case in enumerate(sorted(group, key=_slower), start=1)
    }


def bars(
    cases: Sequence[CaseSummary], model: str, batch: int, places: Mapping[str, int], shipped: Collection[str]
) -> Bars | None:
    """The bars of this model and batch; None where nothing was timed. `places` are the `numbers` of all cases."""
    compared = [case for case in cases if (case.model, case.batch) == (model, batch) and case.id in places]
    if not compared:
        return None
    compared.sort(key=_slower)
    fastest = max(max(_reach(case)[1], case.images_per_second or 0.0) for case in compared)
    drawn = [_row(case, place, places[case.id], fastest, case.id in shipped) for place, case in enumerate(compared)]
    height = ROW_PX * len(compared) + 4
    words = (
        f"Speed of {len(compared)} engines of {model_name(model)} at batch {batch}, the fastest first; see the table."
    )
    picture = svg(WIDTH, height, *drawn, class_="panel bars", role="group", aria_label=words)
    return Bars(batch, picture, any(map(unreliable, compared)), any(map(_fails, compared)), tuple(compared))


def shade(precision: str) -> str:
    """The CSS class of a precision."""
    return precision if precision in SHADES else "other"


def _row(case: CaseSummary, place: int, number: int, fastest: float, ships: bool) -> Markup:
    rate = case.images_per_second or 0.0
    top = ROW_PX * place + 4
    middle = top + ROW_PX / 2 - 2
    fails = " fails" if _fails(case) else ""
    name = case.short_name
    name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    right = WIDTH - (FIGURES_PX if case.batch == 1 else FIGURE_PX)
    end = _x(rate, fastest, right)
    parts = [
        tag("title", _tooltip(case)),
        text((NUMBER_PX, middle + 4), str(number), "place"),
        text((NAME_PX, middle + 4), name, f"engine{fails}{' ships' if ships else ''}"),
        tag(
            "rect",
            x=str(BAR_LEFT_PX),
            y=f"{middle - BAR_PX / 2:.1f}",
            width=f"{max(end - BAR_LEFT_PX, 1):.1f}",
            height=str(BAR_PX),
            rx="2",
            class_=f"bar {shade(case.precision)}{fails}",
        ),
    ]
    if fails:
        parts.append(line((NAME_PX, middle), (max(end, BAR_LEFT_PX + 1), middle), "strike"))
    shown = end
    if unreliable(case):
        low, high = (_x(each, fastest, right) for each in _reach(case))
        shown = max(end, high)
        parts.append(line((low, middle), (high, middle), "whisker"))
        parts += [line((at, middle - CAP_PX), (at, middle + CAP_PX), "whisker") for at in (low, high)]
    figure = significant(rate)
    if case.batch == 1 and case.effective_latency:
        figure += f" · {milliseconds(case.effective_latency.p50_ms)}"
    parts.append(text((shown + 5, middle + 4), figure, f"figure{' ships' if ships else ''}"))
    return tag("g", *parts, class_="point", role="img", tabindex="0")


def _fails(case: CaseSummary) -> bool:
    """Whether its gate failed, or the case crashed."""
    return case.gate_label in ("fail", "error")


def _tooltip(case: CaseSummary) -> str:
    speedup = f", {times(case.speedup.value)}" if case.speedup else ""
    uncertain = " (rough)" if unreliable(case) else ""
    return f"{case.title}: {significant(case.images_per_second)} img/s{uncertain}{speedup}, gate: {case.gate_label}"


def _reach(case: CaseSummary) -> tuple[float, float]:
    """(slower, faster) img/s that the timing may stand for: its interval, or half its calls, whichever is wider."""
    latency = case.effective_latency
    rate = case.images_per_second or 0.0
    if latency is None or latency.p50_ms <= 0:
        return rate, rate
    launches = case.speed.launch.latency_ms if case.speed.launch else None
    iqr = (launches.relative_iqr if case.launch_bound and launches else relative_iqr(case)) or 0.0
    low = min(latency.p50_ms * (1 - min(iqr, 1.0) / 2), latency.low_ms or latency.p50_ms)
    high = max(latency.p50_ms * (1 + iqr / 2), latency.high_ms or latency.p50_ms)
    return rate * latency.p50_ms / high, rate * latency.p50_ms / low


def _x(rate: float, fastest: float, right: float) -> float:
    return BAR_LEFT_PX + (right - BAR_LEFT_PX) * rate / fastest


def _slower(case: CaseSummary) -> float:
    return -(case.images_per_second or 0.0)
