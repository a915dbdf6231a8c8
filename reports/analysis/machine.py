"""What the figures of a session were measured on, and what they therefore do not tell."""

from collections.abc import Mapping
from typing import Any

from reports.record.machine import on_card
from reports.record.results import is_number
from reports.record.schema import Row
from reports.text.formatting import THIN_SPACE, significant


def machine(session: Row) -> tuple[str, str]:
    """The machine's name, and a sentence on what its figures are worth elsewhere."""
    environment = session["environment"]
    gpu, cpu = environment.get("gpu"), str(environment.get("cpu") or "unknown CPU")
    if gpu and on_card(session):
        care = "ratios carry over to other cards only with care, and another engine may be the fastest there"
        return str(gpu), f"Measured on one {gpu}. Absolute times hold for this card alone; {care}."
    return cpu, "Measured on a CPU: this tells nothing about a GPU."


def card_facts(session: Row) -> list[tuple[str, str]]:
    """(what, figure) of the card, as far as the session recorded it; nothing for a run on a CPU."""
    environment = session["environment"]
    if not on_card(session):
        return []
    card = _mapping(environment.get("card"))
    capability, memory = card.get("compute_capability"), card.get("memory_bytes")
    parts = capability if isinstance(capability, list | tuple) else [capability] if capability else []
    facts = [
        ("GPU", card.get("name") or environment.get("gpu")),
        ("compute capability", ".".join(map(str, parts))),
        ("driver", card.get("driver")),
        ("newest CUDA of the driver", card.get("cuda_driver_version")),
        ("memory", f"{significant(memory / 1e9)}{THIN_SPACE}GB" if is_number(memory) else ""),
    ]
    return [(what, str(figure)) for what, figure in facts if figure]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
