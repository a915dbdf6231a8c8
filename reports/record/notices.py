"""What of the data was not as it should be, as the session row keeps it: a typed list under `suite["notices"]`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from reports.record.results import read_tolerantly


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of departure, how many things it concerns, and the first three of them.

    `changes_score`: what is scored is another than the file alone would say (something was left out or clipped).
    """

    code: str
    count: int
    text: str = ""
    examples: tuple[str, ...] = ()
    changes_score: bool = False

    @property
    def sentence(self) -> str:
        """`boxes that reach beyond their image, clipped to it: 12 (a, b, c, …)`."""
        more = ", …" if self.count > len(self.examples) else ""
        return f"{self.text or self.code}: {self.count}" + (
            f" ({', '.join(self.examples)}{more})" if self.examples else ""
        )


class _Suite(msgspec.Struct, frozen=True):
    notices: tuple[Notice, ...] = ()


def read_notices(suite: Mapping[str, Any]) -> tuple[Notice, ...]:
    """The notices of a session's suite; none in records of older versions. What is no notice is passed over."""
    return read_tolerantly(_Suite, suite, []).notices
