"""Files and a description → a bundle's folder, whole or not at all."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reports.bundle.format import DESCRIPTION, README, SUMS, Bundle, BundledFile, Role
from reports.bundle.reading import checksums
from reports.bundle.readme import readme
from reports.errors import ReportError
from reports.record.files import write_atomically
from reports.record.hashing import CHUNK_BYTES, file_sha256


@dataclass(frozen=True)
class Copied:
    """A file that goes into a bundle as `name`: what stands in `source` behind `offset` bytes, behind `prefix`.

    `sha256` is that of the source as a whole, checked while it is copied; empty where it has been checked already.
    """

    name: str
    roles: tuple[Role, ...]
    source: Path
    sha256: str = ""
    offset: int = 0
    prefix: bytes = b""

    def write(self, target: Path) -> None:
        """Raises `ReportError` where the source is not what `sha256` says."""
        digest = hashlib.sha256()
        with self.source.open("rb") as source, target.open("wb") as copy:
            head = source.read(self.offset)
            digest.update(head)
            copy.write(self.prefix)
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                copy.write(chunk)
        if self.sha256 and digest.hexdigest() != self.sha256:
            raise ReportError(
                f"{self.source} is not the file that was measured: its SHA-256 differs from the record's",
                hint="run the benchmark again, and ship that run",
            )


@dataclass(frozen=True)
class Made:
    """A file that goes into a bundle as `name`, written by `make(path)`."""

    name: str
    roles: tuple[Role, ...]
    make: Callable[[Path], None]

    def write(self, target: Path) -> None:
        self.make(target)


def write_bundle(
    output: Path, files: Sequence[Copied | Made], describe: Callable[[tuple[BundledFile, ...]], Bundle]
) -> Bundle:
    """Write the bundle of `files` to `output`, a folder that is not there yet or is empty, and describe it.

    Raises `ReportError` where that folder holds something, or cannot be written.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ReportError(f"{output}: there is something already", hint="name another folder with --output")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}-"))
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        bundle = _write(scratch, files, describe)
        scratch.chmod(0o755)  # mkdtemp makes it private
        scratch.replace(output)
    except OSError as error:
        raise _unwritable(output, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return bundle


def _write(
    folder: Path, files: Sequence[Copied | Made], describe: Callable[[tuple[BundledFile, ...]], Bundle]
) -> Bundle:
    bundled = []
    for file in files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        file.write(path)
        bundled.append(
            BundledFile(path=file.name, roles=file.roles, sha256=file_sha256(path), size_bytes=path.stat().st_size)
        )
    bundle = describe(tuple(bundled))
    write_atomically(folder / DESCRIPTION, msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n")
    write_atomically(folder / README, readme(bundle))
    write_atomically(folder / SUMS, checksums(folder, bundle))
    return bundle


def _unwritable(output: Path, error: OSError) -> ReportError:
    return ReportError(
        f"{output}: cannot write the bundle: {error.strerror or error}",
        hint="free some space, or name another folder with --output",
    )
