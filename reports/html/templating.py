"""The template engine as the pages use it: everything is escaped, and a name that is missing is an error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.text import formatting

TEMPLATES = Path(__file__).parent / "templates"
FORMATTING = (
    formatting.significant,
    formatting.times,
    formatting.times_interval,
    formatting.ms_interval,
    formatting.milliseconds,
    formatting.percent,
    formatting.percent_interval,
    formatting.gate_percent,
    formatting.size,
    formatting.share,
    formatting.pluralize,
    formatting.first_line,
    formatting.first_clause,
    formatting.sentence,
    formatting.stopped,
)


def make_environment(*helpers: Callable[..., Any], **named: Callable[..., Any]) -> Environment:
    """An environment whose templates have the formatting functions, the `helpers` by their own names and the `named`
    ones as filters. Keep it: compiling the templates takes longer than filling them.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {helper.__name__: helper for helper in (*FORMATTING, *helpers)} | named
    return environment
