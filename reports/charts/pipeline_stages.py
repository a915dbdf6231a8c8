"""Where a photo's time goes: the stages of the baseline pipeline and of the best one, as waterfalls on one scale."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.charts.svg import line, svg, tag, text
from reports.record.pipeline import PipelineSpeed

WIDTH, LEFT, RIGHT = 560, 124, 80
ROW, BAR, TOP = 22, 13, 32
# A stage that takes less is a hair line, and is drawn as one.
THINNEST_PX = 1.0


@dataclass(frozen=True)
class Waterfall:
    """One pipeline's stages, each beginning where the one before ends."""

    title: str
    svg: Markup
    rows: tuple[tuple[str, float], ...]


def waterfalls(named: Sequence[tuple[str, PipelineSpeed]]) -> list[Waterfall]:
    """A picture for each (title, speed), all on the scale of the slowest: milliseconds a photo of the serial pass."""
    scale = max(sum(stage.wall_ms for stage in speed.stages) for _, speed in named)
    return [Waterfall(title, _picture(title, speed, scale), _rows(speed)) for title, speed in named]


def _rows(speed: PipelineSpeed) -> tuple[tuple[str, float], ...]:
    return tuple((stage.name, stage.wall_ms) for stage in speed.stages)


def _picture(title: str, speed: PipelineSpeed, scale_ms: float) -> Markup:
    across = (WIDTH - LEFT - RIGHT) / scale_ms if scale_ms else 0.0
    parts = [text((LEFT, 19), f"{sum(stage.wall_ms for stage in speed.stages):.3g} ms a photo", "stage-total")]
    at = 0.0
    for number, stage in enumerate(speed.stages):
        top = TOP + number * ROW
        left, width = LEFT + at * across, max(stage.wall_ms * across, THINNEST_PX)
        parts.append(text((LEFT - 8, top + BAR - 2), stage.name, "stage-name"))
        parts.append(
            tag(
                "rect",
                x=f"{left:.1f}",
                y=str(top),
                width=f"{width:.1f}",
                height=str(BAR),
                class_="stage-engine" if stage.name in ("detector", "image tower") else "stage",
            )
        )
        parts.append(text((left + width + 5, top + BAR - 2), f"{stage.wall_ms:.3g}", "stage-ms"))
        if number:
            parts.append(line((left, top - (ROW - BAR)), (left, top), "stage-step"))
        at += stage.wall_ms
    height = TOP + len(speed.stages) * ROW + 4
    return svg(WIDTH, height, *parts, role="img", aria_label=f"{title}: milliseconds a photo by stage")
