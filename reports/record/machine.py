"""On what a session measures: a GPU or a CPU, and what must be alike for two measurements to be of one machine."""

from collections.abc import Mapping
from typing import Any

from reports.record.schema import Row
from reports.record.session import read_environment, read_settings


def compatibility_facts(environment: Mapping[str, Any], card: bool) -> dict[str, Any]:
    """What of an environment must be the same in all parts of one run, by the name that a message gives it.

    `card` says whether the run measures on one; on a CPU its name and cores count.
    """
    recorded = read_environment(environment)
    facts: dict[str, Any] = {"commit": recorded.commit, "gpu": recorded.gpu}
    if card and recorded.gpu:
        facts["driver"] = recorded.card.driver
    else:
        facts |= {"cpu": recorded.cpu, "cores": recorded.cores}
    return facts | {f"package {name}": version for name, version in recorded.packages.items()}


def on_gpu(session: Row) -> bool:
    """Whether this session was asked to measure on a card."""
    return read_settings(session).on_gpu
