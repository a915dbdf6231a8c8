"""A bundle's folder → `OpenBundle`, or a refusal. Nothing of it is loaded before all of it is known to be what it says.

Who made a bundle is not known: a path may lead elsewhere, a size may be a lie. Only bytes are read here, no file is
unpacked, and no name in `bundle.json` is followed out of the folder.
"""

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reports.bundle.format import DESCRIPTION, FORMAT, README, SUMS, Bundle, Role
from reports.errors import ReportError
from reports.record.hashing import content_sha256, file_sha256

# A thousand class names are 20 kB.
LARGEST_DESCRIPTION = 1 << 22
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]*")
MOST_FILES = 64
LARGEST_SIDE = 1 << 14
AGAIN = "copy the bundle again from where it was made; what has changed since cannot be trusted"


@dataclass(frozen=True)
class OpenBundle:
    """A bundle whose files are all there, each with the size and hash that it says."""

    folder: Path
    bundle: Bundle

    def path(self, role: Role) -> Path | None:
        """Where the first file of that role lies; None where there is none."""
        file = self.bundle.file(role)
        return None if file is None else self.folder / file.path

    @property
    def engine(self) -> Path:
        """Where the engine lies: `read_bundle` refuses a bundle without one."""
        path = self.path(Role.ENGINE)
        assert path is not None
        return path

    @property
    def engine_sha256(self) -> str:
        """Of the engine with its parts, as the record has it."""
        parts = [self.folder / each.path for each in self.bundle.files if Role.PART in each.roles]
        return content_sha256(self.engine, parts)

    @property
    def description_sha256(self) -> str:
        return file_sha256(self.folder / DESCRIPTION)


def read_bundle(folder: Path) -> OpenBundle:
    """The bundle in `folder`. Raises `ReportError` for anything that is not as its own description says."""
    description = confined(folder, DESCRIPTION)
    if description.stat().st_size > LARGEST_DESCRIPTION:
        raise ReportError(f"{description}: too large for the description of a bundle", hint=AGAIN)
    bundle = _decode(description)
    _check(bundle, folder)
    for file in bundle.files:
        path = confined(folder, file.path)
        if (size := path.stat().st_size) != file.size_bytes:
            raise ReportError(f"{path} has {size} bytes, and {DESCRIPTION} says {file.size_bytes}", hint=AGAIN)
        if file_sha256(path) != file.sha256:
            raise ReportError(f"{path} has changed: its SHA-256 is not that of {DESCRIPTION}", hint=AGAIN)
    if unnamed := _unnamed(folder, bundle):
        raise ReportError(
            f"{folder} holds {unnamed}, which {DESCRIPTION} does not name",
            hint="an engine may read what lies beside it: take it away, or copy the bundle again",
        )
    sums = confined(folder, SUMS)
    if sums.stat().st_size > LARGEST_DESCRIPTION or sums.read_bytes() != checksums(folder, bundle):
        raise ReportError(f"{folder}: {README}, {DESCRIPTION} or {SUMS} has changed: the sums do not agree", hint=AGAIN)
    return OpenBundle(folder, bundle)


def checksums(folder: Path, bundle: Bundle) -> bytes:
    """The content of `SHA256SUMS`, as `sha256sum -c` reads it."""
    digests = {each.path: each.sha256 for each in bundle.files}
    digests |= {name: file_sha256(confined(folder, name)) for name in (README, DESCRIPTION)}
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def confined(folder: Path, name: str) -> Path:
    """The file `name` in `folder`. Raises `ReportError` where the name leads out of it or is no plain file."""
    parts = name.split("/")
    if not all(NAME.fullmatch(part) for part in parts):
        raise ReportError(
            f"{folder}: the path {name!r} is none of a bundle's own", hint="a bundle names files in its own folder only"
        )
    path = folder
    for place, part in enumerate(parts, start=1):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            raise ReportError(f"{path}: {error.strerror or error}", hint="give the folder of a whole bundle") from error
        if not (stat.S_ISREG(mode) if place == len(parts) else stat.S_ISDIR(mode)):
            kind = "a link" if stat.S_ISLNK(mode) else "no plain file or folder"
            raise ReportError(f"{path} is {kind}", hint="a bundle holds plain files and folders only")
    return path


def _decode(path: Path) -> Bundle:
    content = path.read_bytes()
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.format != FORMAT:
            raise ReportError(
                f"{path}: its format is {head.format}, and this version reads {FORMAT}",
                hint="use the version of the benchmark that made it, or ship the run again",
            )
        return msgspec.json.decode(content, type=Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} is no description of a bundle: {error}", hint=AGAIN) from error


class _Head(msgspec.Struct):
    format: int


def _check(bundle: Bundle, folder: Path) -> None:
    """What types alone do not say."""
    paths = [each.path for each in bundle.files]
    shape = bundle.interface.input_shape
    faults = (
        ("it names a file twice", len({path.lower() for path in paths}) < len(paths)),
        ("it names too many files", len(paths) > MOST_FILES),
        ("it names its own description", not _apart(paths)),
        ("it has no engine, or several", sum(Role.ENGINE in each.roles for each in bundle.files) != 1),
        (
            f"its input has the shape {shape}",
            not 1 <= len(shape) <= 3 or not all(1 <= n <= LARGEST_SIDE for n in shape),
        ),
    )
    for what, wrong in faults:
        if wrong:
            raise ReportError(f"{folder / DESCRIPTION}: {what}", hint=AGAIN)


def _unnamed(folder: Path, bundle: Bundle) -> str:
    """The first file of the folder that no name stands for, hidden ones apart; empty where there is none."""
    named = {each.path for each in bundle.files} | {DESCRIPTION, README, SUMS}
    names = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir())
    return next((name for name in names if name not in named and not name.rpartition("/")[2].startswith(".")), "")


def _apart(paths: Iterable[str]) -> bool:
    return not {DESCRIPTION.lower(), README.lower(), SUMS.lower()} & {path.lower() for path in paths}
