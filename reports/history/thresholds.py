"""How much worse matters, case by case: `thresholds.toml` in the folder of a history.

    ["clip-*-int8-*"]
    speed = 0.05        # a share of the old time, or of the photos or images a second of a pipeline or served model
    build = 0.5         # a share of the old seconds, of first builds and of those that found timings
    size = 0.1          # a share of the old bytes
    accuracy = 0.01     # a difference of the ratio to the baseline: 0.01 is one point

A table's name is a pattern of case ids (`*`, `?`, `[…]`, as a shell has them). Where several fit a case, the last one
that names a figure decides it; what none names keeps the suite's own threshold (`reports.history.regressions.TRACKED`).
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from reports.errors import ReportError

FILE = "thresholds.toml"
# What the file calls a figure, and the columns of a history that it is kept in.
FIGURES = {
    "speed": ("device_p50_ms", "end_to_end_p50_ms", "throughput_per_second"),
    "accuracy": ("accuracy_ratio",),
    "build": ("build_seconds", "known_timings_build_seconds"),
    "size": ("size_bytes",),
}


@dataclass(frozen=True)
class Thresholds:
    """Patterns of case ids with the least change of interest by column, in the order of the file."""

    by_pattern: tuple[tuple[str, Mapping[str, float]], ...] = ()

    def of(self, case: str) -> dict[str, float]:
        """The thresholds of this case by column; empty where the file says nothing of it."""
        least_figures: dict[str, float] = {}
        for pattern, least in self.by_pattern:
            if fnmatchcase(case, pattern):
                least_figures |= least
        return least_figures


def read_thresholds(folder: str | os.PathLike[str]) -> Thresholds:
    """The thresholds of the history in `folder`; none without the file.

    Raises `ReportError` where the file cannot be read, is no TOML, or says something else than thresholds: a
    misspelt name would otherwise leave a case with the threshold that it was to be rid of.
    """
    path = Path(folder) / FILE
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Thresholds()
    except NotADirectoryError:
        return Thresholds()  # the history itself says so
    except OSError as error:
        raise ReportError(
            f"{path}: cannot read the thresholds: {error.strerror or error}", hint="make it readable, or remove it"
        ) from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise ReportError(
            f"{path}: no TOML: {error}", hint='write it like ["clip-*-int8-*"], then speed = 0.05'
        ) from error
    return Thresholds(tuple((pattern, _least(path, pattern, table)) for pattern, table in tables.items()))


def _least(path: Path, pattern: str, table: Any) -> dict[str, float]:
    if not isinstance(table, Mapping):
        raise ReportError(
            f"{path}: {pattern!r} stands outside of a table",
            hint='begin with the cases that it is for: a line ["clip-*-int8-*"], or ["*"] for all',
        )
    least_figures: dict[str, float] = {}
    for figure, value in table.items():
        if figure not in FIGURES:
            raise ReportError(
                f'{path}: ["{pattern}"] names an unknown figure {figure!r}', hint=f"choose among {', '.join(FIGURES)}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise ReportError(
                f'{path}: ["{pattern}"] {figure} = {value!r}: no threshold',
                hint="give a share above 0 and at most 1: 0.05 is 5 %",
            )
        least_figures |= dict.fromkeys(FIGURES[figure], float(value))
    return least_figures
