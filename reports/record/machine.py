"""On what a session measures: a GPU or a CPU, and what must be alike for two measurements to be of one machine."""

from collections.abc import Mapping
from typing import Any

from reports.record.schema import Row


def what_decides(environment: Mapping[str, Any], card: bool) -> dict[str, Any]:
    """What of an environment must be the same in all parts of one run, by the name that a message gives it.

    `card` says whether the run measures on one; on a CPU its name and cores count.
    """
    facts = {name: environment.get(name) for name in ("commit", "gpu")}
    if card and environment.get("gpu"):
        facts["driver"] = _mapping(environment.get("card")).get("driver")
    else:
        facts |= {name: environment.get(name) for name in ("cpu", "cores")}
    return facts | {f"package {name}": found for name, found in _mapping(environment.get("packages")).items()}


def on_card(session: Row) -> bool:
    """Whether this session was asked to measure on a card."""
    return str(session["settings"].get("device", "")).lower() != "cpu"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
