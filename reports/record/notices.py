"""What of the data was not as it should be, as the session row keeps it: a typed list under `suite["notices"]`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Notice:
    """One kind of departure, how many things it concerns, and the first three of them.

    `changes_score`: what is scored is another than the file alone would say (something was left out or clipped).
    """

    code: str
    text: str
    count: int
    examples: tuple[str, ...]
    changes_score: bool

    @property
    def sentence(self) -> str:
        """`boxes that reach beyond their image, clipped to it: 12 (a, b, c, …)`."""
        more = ", …" if self.count > len(self.examples) else ""
        return f"{self.text}: {self.count}" + (f" ({', '.join(self.examples)}{more})" if self.examples else "")


def read_notices(suite: Mapping[str, Any]) -> tuple[Notice, ...]:
    """The notices of a session's suite; none in records of older versions. What is no notice is passed over."""
    listed = suite.get("notices")
    found = []
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, Mapping) and isinstance(entry.get("code"), str) and isinstance(entry.get("count"), int):
            examples = entry.get("examples")
            found.append(
                Notice(
                    entry["code"],
                    str(entry.get("text") or entry["code"]),
                    entry["count"],
                    tuple(str(each) for each in examples) if isinstance(examples, list) else (),
                    bool(entry.get("changes_score")),
                )
            )
    return tuple(found)
