"""The axes of speed against accuracy: from speed-ups and accuracy ratios to pixels, and the marks on them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.analysis.cases import CaseSummary
from reports.analysis.pareto import coordinates
from reports.charts.label_placement import Box
from reports.charts.svg import line, text
from reports.record.results import Ratio
from reports.text.names import BASELINE

WIDTH, HEIGHT = 430, 320
TICK_PX = 38  # the width of `1.25×` and a space
# A tick may stand on either edge, and its word is centred on it.
PLOT = Box(left=56, top=16, right=WIDTH - TICK_PX / 2, bottom=HEIGHT - 46)
# Below this ratio an engine is broken, not a little worse. One broken engine must not squeeze the scale on
# which all others differ by tenths of a percent: it stands on the lower edge, with its ratio in words.
FLOOR = 0.90


@dataclass(frozen=True)
class Scales:
    """From speed-up (logarithmic: 2× faster is as far as 2× slower) and accuracy ratio to pixels."""

    fastest: float
    slowest: float
    worst: float
    best: float

    def x(self, speedup: float) -> float:
        share = math.log(max(speedup, 1e-6) / self.slowest) / math.log(self.fastest / self.slowest)
        return min(max(PLOT.left + share * (PLOT.right - PLOT.left), PLOT.left), PLOT.right)

    def y(self, ratio: float) -> float:
        share = (ratio - self.worst) / (self.best - self.worst)
        return min(max(PLOT.bottom - share * (PLOT.bottom - PLOT.top), PLOT.top), PLOT.bottom)


def figures_of(case: CaseSummary) -> tuple[Ratio, Ratio]:
    """The coordinates of a case that is known to have them."""
    figures = coordinates(case)
    assert figures is not None
    return figures


def fitting(cases: Sequence[CaseSummary], least: float) -> Scales:
    speeds, ratios = zip(*map(figures_of, cases), strict=True)
    slowest = min(1.0, *(speed.low or speed.value for speed in speeds))
    fastest = max(1.0, *(speed.high or speed.value for speed in speeds))
    # At least ±15 % when everything is equally fast; more on the right, where the fastest has its name.
    spread = math.log(fastest / slowest)
    before, after = max(0.14, 0.1 * spread), max(0.2, 0.3 * spread)
    shown = [ratio for ratio in ratios if ratio.value >= FLOOR] or list(ratios)
    worst = min(least, *(max(ratio.low or ratio.value, FLOOR if ratio.value >= FLOOR else 0) for ratio in shown))
    best = max(1.0, *(ratio.high or ratio.value for ratio in shown))
    # Most engines stand near 100 %: their names need room above and below it.
    below, above = max(0.004, 0.12 * (best - worst)), max(0.006, 0.25 * (best - worst))
    return Scales(fastest * math.exp(after), slowest * math.exp(-before), worst - below, best + above)


def axes(scales: Scales) -> list[Markup]:
    parts = []
    for tick in log_ticks(scales.slowest, scales.fastest):
        x = scales.x(tick)
        parts.append(line((x, PLOT.top), (x, PLOT.bottom), "unity" if tick == 1 else "grid"))
        parts.append(text((x, PLOT.bottom + 17), f"{tick:g}×", "tick"))
    for tick in linear_ticks(scales.worst, scales.best):
        y = scales.y(tick)
        parts.append(line((PLOT.left, y), (PLOT.right, y), "grid"))
        parts.append(text((PLOT.left - 7, y + 4), f"{100 * tick:.4g}\u202f%", "tick y"))
    parts.append(text(((PLOT.left + PLOT.right) / 2, HEIGHT - 8), f"speed-up over {BASELINE}", "axis"))
    parts.append(text((PLOT.left, PLOT.top - 5), "accuracy kept", "axis first"))
    return parts


def log_ticks(low: float, high: float) -> list[float]:
    """Round speed-ups in [low, high], the finest set whose marks keep apart on the logarithmic axis.

    1 is always among them if it lies inside: every set of steps has it.
    """
    nearest = math.log(high / low) * TICK_PX / (PLOT.right - PLOT.left)
    for steps in (
        (1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
        (1, 1.25, 1.5, 2, 3, 4, 5, 7),
        (1, 1.5, 2, 3, 5, 7),
        (1, 2, 5),
        (1, 3),
        (1,),
    ):
        ticks = [step * 10.0**power for power in range(-4, 5) for step in steps]
        chosen_ticks = [round(tick, 6) for tick in ticks if low <= tick <= high]
        if all(math.log(right / left) >= nearest for left, right in itertools.pairwise(chosen_ticks)):
            break
    return chosen_ticks


def linear_ticks(low: float, high: float) -> list[float]:
    """Round ratios in [low, high]; at most seven."""
    step = next(s for s in (0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, math.inf) if (high - low) / s <= 7)
    return [round(n * step, 6) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
