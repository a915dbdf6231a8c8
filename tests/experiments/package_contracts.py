"""`python -m tests.experiments.package_contracts`: do the packages have every call and keyword that the backends use?

Downloads wheels (pip, without what they need) and reads the sources in them; nothing of them is imported, and no GPU is
needed. The uses are found in fixtures/backends, fixtures/models and fixtures/precision. Exits with 1 where one is gone.

In the matrix: "ok" a source declares it and the call fits; "name" it is compiled, and the name stands in the library;
"-" not used with this version (or used only where it is there); "~" it comes from a class of another package;
"GONE" it is not there, or the call does not fit.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from fixtures import ROOT
from tests.experiments.contracts import table
from tests.experiments.contracts.signatures import misfit
from tests.experiments.contracts.uses import Survey, Use, survey
from tests.experiments.contracts.wheels import Found, Wheel, WheelError, download, newest

SOURCES = ("fixtures/backends", "fixtures/models", "fixtures/precision")
FITS, NAMED, UNUSED, ELSEWHERE, GONE = "ok", "name", "-", "~", "GONE"
NAME_WIDTH = 64
SHOWN = {"function": FITS, "class": FITS, "module": FITS, "value": FITS, "native": NAMED, "outside": ELSEWHERE}


@dataclass(frozen=True)
class Verdict:
    """What one wheel says of one use: a mark of the matrix, and for `GONE` what is wrong."""

    mark: str
    fault: str = ""


def find_uses() -> Survey:
    """What the project's own source uses of the packages."""
    files = (file for folder in SOURCES for file in sorted((ROOT / folder).rglob("*.py")))
    return survey(files, {each.imported: each.root for each in table.PACKAGES}, table.RECEIVERS)


def judge(wheel: Wheel, use: Use, version: str) -> Verdict:
    """Whether the wheel of `version` has what `use` needs."""
    if not table.asked_with(use.path, version):
        return Verdict(UNUSED)
    within = [wheel.root, *use.path.split(".")[1:]]
    found = wheel.resolve(".".join(within))
    if found is None:
        absent_is_fine = use.guarded and use.path not in table.NEEDED
        return Verdict(UNUSED) if absent_is_fine else Verdict(GONE, "is not there")
    # What is compiled, or of another package, does not show what it takes.
    if use.called and found.kind not in ("native", "outside"):
        owner = wheel.resolve(".".join(within[:-1]))
        if fault := next(filter(None, _misfits(wheel, found, use, version, owner)), ""):
            return Verdict(GONE, fault)
    return Verdict(SHOWN[found.kind])


def _misfits(wheel: Wheel, found: Found, use: Use, version: str, owner: Found | None) -> Iterator[str]:
    """What is wrong with a call in each of the ways it is made; empty where nothing is."""
    stars = table.held_by_stars(use.path, version) if use.starred else [()]
    if stars is None:
        yield "is called with * or **, and tests/experiments/contracts/table.py does not say what of"
        return
    file = table.DECLARED.get(use.path)
    declared = frozenset(yaml.safe_load(wheel.text(file))) if file else frozenset()
    for more in stars:
        named = [keyword for keyword in (*use.keywords, *more) if keyword not in declared]
        yield misfit(wheel, found, use.positional, named, use.bound, owner)


def matrix(uses: Iterable[Use], wheels: Sequence[tuple[str, Wheel]]) -> tuple[list[str], list[str]]:
    """The lines of the matrix for one package, and a line for each use that is gone."""
    rows: dict[str, dict[str, Verdict]] = defaultdict(dict)
    faults: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = defaultdict(lambda: ({}, {}))
    for use in uses:
        label = _label(use, [version for version, _ in wheels])
        for version, wheel in wheels:
            verdict = judge(wheel, use, version)
            if verdict.mark == GONE:
                in_versions, at = faults[use.path, verdict.fault]
                in_versions[version] = at[use.where] = None
            if version not in rows[label] or rows[label][version].mark != GONE:
                rows[label][version] = verdict
    width = max(len(version) for version, _ in wheels) + 1
    head = " " * NAME_WIDTH + "".join(f"{version:>{width}}" for version, _ in wheels)
    lines = [head]
    for label, marks in sorted(rows.items()):
        *before, last = _folded(label)
        lines += before
        lines.append(f"{last:<{NAME_WIDTH}}" + "".join(f"{marks[version].mark:>{width}}" for version, _ in wheels))
    return lines, [
        f"{', '.join(at)}: {path} of {', '.join(versions)} {fault}" for (path, fault), (versions, at) in faults.items()
    ]


def _label(use: Use, versions: Iterable[str]) -> str:
    """The name without its package; of a call also the keywords that it has with any of these versions."""
    name = use.path.partition(".")[2]
    if not use.called:
        return name
    keywords = dict.fromkeys(use.keywords)
    for version in versions if use.starred else ():
        for way in table.held_by_stars(use.path, version) or ():
            keywords |= dict.fromkeys(way)
    return f"{name}({', '.join(f'{each}=' for each in keywords)})"


def _folded(label: str) -> Iterator[str]:
    """The label in lines that fit its column."""
    words, line = label.split(" "), ""
    for word in words:
        if line and len(line) + len(word) + 1 >= NAME_WIDTH:
            yield line
            line = f"    {word}"
        else:
            line = f"{line} {word}" if line else word
    yield line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check: 0 where everything is there, 1 where something is gone, 2 where a wheel cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kept = Path(tempfile.gettempdir()) / "package-contracts"
    parser.add_argument("--wheels", type=Path, default=kept, help=f"where they are kept, 0.2 GB ({kept})")
    parser.add_argument("--newest", action="store_true", help="the newest release of each package as well")
    parser.add_argument("--packages", default="", help="these alone, by the names they are imported by (all)")
    asked = parser.parse_args(arguments)
    found = find_uses()
    faults = [f"the table of receivers names {each.text!r} of {each.file}, which is not there" for each in found.stale]
    faults += [
        f"the table names {path}, which no code uses" for path in table.unknown_names([u.path for u in found.uses])
    ]
    chosen = [name for name in asked.packages.split(",") if name]
    by_name: dict[str, list[tuple[str, Wheel]]] = defaultdict(list)
    try:
        for package in table.PACKAGES:
            if chosen and package.imported not in chosen:
                continue
            versions = package.versions
            if asked.newest and (latest := newest(package.distribution)) not in versions:
                versions = (*versions, latest)
            for version in versions:
                wheel = Wheel(download(package.distribution, version, asked.wheels), package.root)
                by_name[package.imported].append((version, wheel))
    except WheelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, wheels in by_name.items():
        uses = [use for use in found.uses if use.path.split(".")[0] == name]
        lines, gone = matrix(uses, wheels)
        print(f"{name}: {len(uses)} uses, {len(wheels)} releases", *lines, "", sep="\n")
        faults += gone
    print("everything is there" if not faults else "\n".join(["GONE:", *faults]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
