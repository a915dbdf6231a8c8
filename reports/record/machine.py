"""On what a session measures: a GPU or a CPU, and what must be alike for two measurements to be of one machine."""

from collections.abc import Mapping
from typing import Any

from reports.record.schema import Row
from reports.record.session import read_environment, read_settings


def compatibility_facts(environment: Mapping[str, Any], card: bool) -> dict[str, Any]:
    """What of an environment must be the same in all parts of one run, by the name that a message gives it.

    `card` says whether the run measures on one; on a CPU its name and cores count.
    """
    known = read_environment(environment)
    facts: dict[str, Any] = {"commit": known.commit, "gpu": known.gpu}
    if card and known.gpu:
        facts["driver"] = known.card.driver
    else:
        facts |= {"cpu": known.cpu, "cores": known.cores}
    return facts | {f"package {name}": version for name, version in known.packages.items()}


def on_gpu(session: Row) -> bool:
    """Whether this session was asked to measure on a card."""
    return read_settings(session).on_gpu
