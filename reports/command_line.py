"""Options as records: one table makes the parser of a command, the check of its values, and the documentation.

`fixtures.plan.option_table` has those of `pytest bench/` and of the commands beside it, `reports.option_table` those of
`python -m reports`.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class OptionError(ValueError):
    """A value that an option cannot have: what is wrong with it, and what to write instead."""

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(f"{what}\n  hint: {hint}")
        self.what = what
        self.hint = hint


# From the text of an option to its value; raises `OptionError`, to whose words the option puts its name.
Parser = Callable[[str], Any]


def as_text(text: str) -> str:
    """The text without the blanks around it."""
    return text.strip()


def as_path(text: str) -> Path | None:
    """A file or folder, `~` expanded; None where nothing is given."""
    return Path(text.strip()).expanduser() if text.strip() else None


def as_path_text(text: str) -> str:
    """A file, a folder or something else that has a name of its own, such as a hub id: only `~` is expanded."""
    return str(Path(text.strip()).expanduser()) if text.strip().startswith("~") else text.strip()


def as_names(text: str) -> tuple[str, ...]:
    """Names that commas separate."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def as_number(text: str) -> float:
    """Any number."""
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{text!r} is not a number", hint="write it like 2 or 0.02") from None


def as_whole(lowest: int, highest: int) -> Parser:
    """A whole number in these bounds, both included."""

    def parse(text: str) -> int:
        number = as_number(text)
        if not lowest <= number <= highest or number != int(number):
            raise OptionError(f"{text} is out of range", hint=f"give a whole number from {lowest} to {highest}")
        return int(number)

    return parse


def as_seconds(lowest: float, highest: float, what: str) -> Parser:
    """Seconds in these bounds, both included. `what` says of what."""

    def parse(text: str) -> float:
        seconds = as_number(text) if text.strip() else 0.0
        if not lowest <= seconds <= highest:
            raise OptionError(f"{text} is out of range", hint=f"give {what}, from {lowest:g} to {highest:g}")
        return seconds

    return parse


def one_of(*choices: str) -> Parser:
    """One of these words."""

    def parse(text: str) -> str:
        if text.strip() not in choices:
            raise OptionError(f"unknown {text.strip()!r}", hint=f"choose among {', '.join(choices)}")
        return text.strip()

    return parse


@dataclass(frozen=True)
class Option:
    """One option, or one argument where its `name` has no dashes.

    `help` says what it means, `default` is what it is where it is not given, as one would type it, and `default_text`
    says so in words where the value alone would not. `parse` makes the value of the text. `commands` are those that
    take it. A `flag` has no value. `count` is argparse's nargs. Of the options of one `alternative` exactly one must be
    given. `field` is the attribute that gets the value, where that is not called like the option.
    """

    name: str
    help: str
    commands: tuple[str, ...]
    metavar: str = ""
    default: str = ""
    default_text: str = ""
    parse: Parser = as_text
    flag: bool = False
    required: bool = False
    count: str = ""
    alternative: str = ""
    field: str = ""

    @property
    def key(self) -> str:
        """The option as an attribute of parsed arguments."""
        return self.name.lstrip("-").replace("-", "_")

    @property
    def target(self) -> str:
        return self.field or self.key

    @property
    def needed(self) -> bool:
        """Whether a call without it is refused."""
        return self.required or not self.name.startswith("-")

    @property
    def shown_default(self) -> str:
        """The default in words; empty where there is none to speak of."""
        return self.default_text or self.default

    @property
    def usage(self) -> str:
        """`--shard i/n`."""
        many = f"{self.metavar} [{self.metavar} …]" if self.count else self.metavar
        return f"{self.name} {many}" if self.name.startswith("-") and not self.flag else many or self.name

    @property
    def described(self) -> str:
        """The help with the default."""
        return f"{self.help} (default: {self.shown_default})" if self.shown_default else self.help

    def value(self, text: str) -> Any:
        """The value of what was typed. Raises `OptionError`, which names the option."""
        try:
            return self.parse(text)
        except OptionError as error:
            raise OptionError(f"{self.name}: {error.what}", hint=error.hint) from None


def options_of(table: Iterable[Option], command: str) -> tuple[Option, ...]:
    """The options that `command` takes."""
    return tuple(option for option in table if command in option.commands)


def parse_arguments(
    parser: argparse.ArgumentParser, table: Iterable[Option], command: str, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """The arguments of `command` by attribute, each with the value that its option makes of it.

    Ends as argparse ends for an option that is not known. Raises `OptionError` for a value that cannot be.
    """
    add_options(parser, table, command)
    parsed = parser.parse_args(arguments)
    set_values(parsed, table, command)
    return parsed


def add_options(parser: argparse.ArgumentParser, table: Iterable[Option], command: str) -> None:
    """Give a parser the options of `command`. What is typed stays text until `set_values`."""
    alternatives: dict[str, Any] = {}
    for option in options_of(table, command):
        if option.alternative and option.alternative not in alternatives:
            alternatives[option.alternative] = parser.add_mutually_exclusive_group(required=True)
        group: Any = alternatives.get(option.alternative, parser)
        text = option.described.replace("%", "%%")
        if option.flag:
            group.add_argument(option.name, action="store_true", help=text)
            continue
        more: dict[str, Any] = {"nargs": option.count} if option.count else {}
        if option.name.startswith("-"):
            more |= {"default": [option.default] if option.count else option.default, "required": option.required}
        group.add_argument(option.name, metavar=option.metavar or None, help=text, **more)


def set_values(parsed: argparse.Namespace, table: Iterable[Option], command: str) -> None:
    """Put values in the place of the texts that a parser left. Raises `OptionError`."""
    for option in options_of(table, command):
        typed = getattr(parsed, option.key)
        if option.flag or (option.alternative and not typed):
            continue
        setattr(parsed, option.key, [option.value(each) for each in typed] if option.count else option.value(typed))
