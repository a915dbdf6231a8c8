"""What `python -m fixtures.doctor --try` found: the file that it writes, and what a session keeps of it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from reports.errors import ReportError
from reports.record.schema import Row

WORKS, OTHER_PRECISION = "works", "works in another precision"
WRONG_ANSWER, FAILS, NOT_TRIED = "gives a wrong answer", "fails", "not tried"


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One small network in one backend and precision.

    `relative_error` is its distance from PyTorch FP32 as a share of what depends on the input, `tolerance` what of that
    is allowed; `seconds` the whole try with its process, `build_seconds` the engine, `call_ms` the median of a few
    calls with a batch of two. `pip` is the line that may mend it.
    """

    network: str
    backend: str
    precision: str
    outcome: str
    tolerance: float
    detail: str = ""
    seconds: float = 0.0
    relative_error: float | None = None
    build_seconds: float | None = None
    call_ms: float | None = None
    log_tail: tuple[str, ...] = ()
    pip: str = ""


class Tries(msgspec.Struct, frozen=True):
    """The content of the file."""

    tries: tuple[Try, ...]


def encode(tried: Sequence[Try]) -> bytes:
    """The content of the file for these tries."""
    return msgspec.json.encode(Tries(tuple(tried)))


def read_file(path: Path) -> tuple[Try, ...]:
    """The tries of a file that the doctor wrote. Raises `ReportError` where it is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tries).tries
    except OSError as error:
        raise _no_tries(path, error.strerror) from error
    except msgspec.MsgspecError as error:
        raise _no_tries(path, error) from error


def _no_tries(path: Path, reason: object) -> ReportError:
    return ReportError(
        f"{path}: no file of tries: {reason}", hint="give what `python -m fixtures.doctor --try --output FILE` wrote"
    )


def tries_of(session: Row) -> tuple[Try, ...]:
    """Those that a session's row holds; none where it has none, or in a way that this version cannot read."""
    try:
        return msgspec.convert(session.get("tries") or (), tuple[Try, ...])
    except msgspec.ValidationError:
        return ()
