"""What was recorded of settings and environment, in words and units, and what of it is not to be relied on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reports.record.notices import read_notices
from reports.record.schema import Row
from reports.record.session import read_environment
from reports.text.formatting import MISSING, THIN_SPACE, significant, size

# The ends of names under which a record keeps a figure, and how the figure is then written.
UNITS: dict[str, Callable[[float], str]] = {
    "_bytes": lambda value: f"{significant(value / 1e9)}{THIN_SPACE}GB" if value >= 1e9 else size(value),
    "_seconds": lambda value: f"{value:g} s",
    "_mb": lambda value: f"{value:g} MiB",
}
# Wheels that put their files into one folder: the one that was installed last is the one that ran.
ONE_FOLDER = ("onnxruntime", "onnxruntime-gpu")


def in_words(value: Any) -> Any:
    """A recorded value for a reader: keys as words, figures with their units, a dash for what is empty."""
    match value:
        case None | "" | [] | {} if not value:
            return MISSING
        case Mapping():
            return {words: text for key, item in value.items() for words, text in [_fact(str(key), item)]}
        case bool():
            return "yes" if value else "no"
    return value


def _fact(key: str, value: Any) -> tuple[str, Any]:
    if key == "notices":
        return "data", [notice.sentence for notice in read_notices({key: value})] or "as it should be"
    for end, shown in UNITS.items():
        if key.endswith(end) and type(value) in (int, float):
            return key.removesuffix(end).replace("_", " "), shown(value)
    return key.replace("_", " "), in_words(value)


def doubts(session: Row) -> Iterator[str]:
    """What makes the record itself uncertain, as sentences."""
    packages = read_environment(session["environment"]).packages
    if all(packages.get(name) for name in ONE_FOLDER):
        versions = " and ".join(f"{name} {packages[name]}" for name in ONE_FOLDER)
        yield (
            f"{versions} are both installed. They share one folder, so that the one installed last ran, whichever "
            "that was: uninstall both and install one."
        )
