"""What the figures of a session were measured on, and what they therefore do not tell."""

from reports.record.machine import on_gpu
from reports.record.schema import Row
from reports.record.session import read_environment
from reports.text.formatting import THIN_SPACE, significant


def machine(session: Row) -> tuple[str, str]:
    """The machine's name, and a sentence on what its figures are worth elsewhere."""
    environment = read_environment(session["environment"])
    gpu = environment.gpu
    if gpu and on_gpu(session):
        care = "ratios carry over to other cards only with care, and another engine may be the fastest there"
        return gpu, f"Measured on one {gpu}. Absolute times hold for this card alone; {care}."
    return environment.cpu or "unknown CPU", "Measured on a CPU: this tells nothing about a GPU."


def gpu_facts(session: Row) -> list[tuple[str, str]]:
    """(what, figure) of the card, as far as the session recorded it; nothing for a run on a CPU."""
    if not on_gpu(session):
        return []
    environment = read_environment(session["environment"])
    card = environment.card
    facts = [
        ("GPU", card.name or environment.gpu),
        ("compute capability", card.capability),
        ("driver", card.driver),
        ("newest CUDA of the driver", card.cuda_driver_version),
        ("memory", f"{significant(card.memory_bytes / 1e9)}{THIN_SPACE}GB" if card.memory_bytes else ""),
    ]
    return [(what, figure) for what, figure in facts if figure]
