"""The report of a session: one page that needs nothing else, and the same figures as JSON and CSV."""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from reports.analysis import answer, certainty
from reports.analysis.cases import CaseSummary
from reports.analysis.gpu_figures import gpu_figures, peak_sources, quantity, speeds
from reports.analysis.run_time import case_seconds, parts, session_cost
from reports.analysis.tables import case_table, layers_text, metric_table, records, size_ratio
from reports.analysis.timing_quality import at_power_limit, caveats
from reports.charts import scatter
from reports.charts.bars import Bars, bars, numbers, shade
from reports.description.machine import gpu_facts, machine
from reports.description.not_run import unanswered
from reports.description.suite_description import about
from reports.errors import ReportError
from reports.findings.base import LEVEL_WORDS
from reports.findings.claims import judge_claims
from reports.findings.gpu import cause
from reports.findings.reading import Reading, read
from reports.history.session_regressions import Regression, judge
from reports.html.assets import SCRIPT, case_lines, content_policy
from reports.html.case_details import MOST_PICTURES, USUAL, explain
from reports.html.columns import CARD, CASES, METRICS, TIMINGS, filled, filled_fields
from reports.html.environment_section import doubts, in_words
from reports.html.glossary import words
from reports.html.history_section import MOST_CHARTS, check_history
from reports.html.pipeline_section import pipeline_cards, pipeline_section
from reports.html.serving_section import serving_section
from reports.html.templating import make_environment
from reports.record.files import write_atomically
from reports.record.machine import on_gpu
from reports.record.schema import Row
from reports.record.session import read_settings
from reports.record.store import last_session
from reports.record.tries import tries_of
from reports.text import formatting
from reports.text.names import backend_name, either, model_name, short_name_words, unit, uses

# How certain the accuracy is: a sign, so that nothing depends on colour, and a word.
MARKS = {
    certainty.CERTAIN: ("✓", "accuracy certain"),
    certainty.LIKELY: ("◐", "accuracy likely"),
    certainty.FAILS: ("✗", "accuracy fails"),
    certainty.NOT_JUDGED: ("–", "accuracy not judged"),
    certainty.BASELINE: ("=", "is the baseline"),
}
# So many lines of what broke stand open; more are in a fold behind them.
MOST_BROKEN = 6
REPORT_SCHEMA = 1


def write_report(
    rows: Sequence[Row],
    folder: str | os.PathLike[str],
    history: pd.DataFrame | None = None,
    since: Sequence[Regression] | None = None,
) -> Path:
    """Write `report.html`, `report.json` and `report.csv` of the last session in `rows`; return the page's path.

    `history` is a `reports.history.store.load` frame that has the session: the page then shows its nights. `since` is
    what it says of the session, where that is known already (`reports.history.session_regressions.judge`).
    Each file appears whole or not at all: a report of an earlier run stays until the new one is complete.
    Raises `ReportError` for rows without a session and for a folder that cannot be written.
    """
    session = last_session(list(rows))
    if not session:
        raise ReportError("these rows hold no session", hint="give the rows of a benchmark run, from the first on")
    folder = Path(folder)
    regressions = _regressions(session, history, since)
    reading = read(session, regressions, history)
    table = case_table(reading.cases)
    _write(folder / "report.csv", table.to_csv(index=False))
    as_json = json.dumps(as_data(session, reading, table), indent=1, ensure_ascii=False, allow_nan=False, default=str)
    _write(folder / "report.json", as_json)
    _write(folder / "report.html", render(session, history, regressions, reading))
    return folder / "report.html"


def as_data(rows: Sequence[Row], reading: Reading | None = None, table: pd.DataFrame | None = None) -> dict[str, Any]:
    """The report as plain data: the session, both tables, the answers, the findings and the recommendations.

    `reading` (`reports.findings.reading.read`) and `table` (`reports.analysis.tables.case_table`) where they are
    known.
    """
    reading = read(rows) if reading is None else reading
    return {
        "schema": REPORT_SCHEMA,
        "session": rows[0],
        "end": _end(rows),
        "answers": answer.as_data(reading.answers),
        "pipelines": answer.pipelines_as_data(reading.pipelines),
        "serving": [asdict(served) for served in serving_section(reading.seen.serving)],
        "findings": [finding.to_dict() for finding in reading.found],
        "recommendations": [asdict(choice) for choice in reading.choices],
        "claims": [asdict(claim) for claim in judge_claims(reading.seen)],
        "table": records(case_table(reading.cases) if table is None else table),
        "metrics": records(metric_table(reading.cases)),
    }


@cache
def _environment() -> Environment:
    return make_environment(
        layers_text,
        size_ratio,
        gpu_figures,
        cause,
        case_seconds,
        model_name,
        uses,
        unit,
        either,
        at_power_limit,
        filled_fields,
        shade,
        in_words,
        caveats,
        headings=_headings,
    )


def render(
    rows: Sequence[Row],
    history: pd.DataFrame | None = None,
    since: Sequence[Regression] | None = None,
    reading: Reading | None = None,
) -> str:
    """The page of one session. Everything that comes from the rows is escaped by the template engine.

    `since` and `reading` (`reports.findings.reading.read`) where they are known already.
    """
    regressions = _regressions(rows, history, since)
    reading = read(rows, regressions, history) if reading is None else reading
    cases, least = reading.cases, reading.least
    session = rows[0]
    shipped = {case_id for choice in reading.choices for case_id in choice.case_ids}
    ran = [case for case in cases if case.attempted]
    why, lines = explain(cases, shipped), case_lines(cases)
    places = numbers(cases)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            session=session,
            started=_moment(session.get("at")),
            duration=parts(rows).sentence(),
            about=about(session["suite"]),
            words=words(cases),
            doubts=list(doubts(session)),
            machine=machine(session),
            reading=reading,
            rehearsal=_rehearsal(session),
            marks=MARKS,
            most_broken=MOST_BROKEN,
            level_words=LEVEL_WORDS,
            shipped=shipped,
            places=places,
            speed_pictures=_speed_pictures(cases, reading.answers, places, shipped, least),
            legend=scatter.legend(cases),
            abbreviations=short_name_words(case.short_name for case in ran),
            models=_by_model_and_batch(ran),
            ran=ran,
            csv=lines,
            idle=lines.idle,
            script=SCRIPT,
            content_policy=content_policy(),
            watched=[case for case in ran if case.speed.gpu],
            quantity=quantity(ran),
            speeds=speeds(ran),
            columns=filled(ran, CASES),
            timing_columns=filled(ran, TIMINGS),
            metric_columns=filled(cases, METRICS),
            card_columns=filled(ran, CARD),
            peak_sources=peak_sources(ran),
            gpu_facts=gpu_facts(session),
            other_environment={name: value for name, value in session["environment"].items() if name != "card"},
            judged=[case for case in cases if case.metrics],
            unanswered=unanswered(cases),
            chosen=read_settings(session).chosen,
            why=why,
            names=_names(cases),
            titles={case.id: case.title for case in cases},
            anchors={each.case.id: each.anchor for of_model in why.values() for each in of_model},
            most_pictures=MOST_PICTURES,
            usual=USUAL,
            since=None if history is None else check_history(history, session["session"], regressions, cases, shipped),
            most_charts=MOST_CHARTS,
            claims=judge_claims(reading.seen),
            pipelines=pipeline_section(reading.pipelines, reading.seen.pipelines),
            pipeline_cards=pipeline_cards(reading.pipelines),
            serving=serving_section(reading.seen.serving),
            cost=session_cost(rows),
            tries=tries_of(session),
            least=least,
            missing=formatting.MISSING,
        )
    )


@dataclass(frozen=True)
class SpeedPicture:
    """The pictures of one model: its modes, each with bars and the panel of its batch, and the panels of other batches.

    `modes` are (title, bars, panel or None where no accuracy was judged).
    """

    model: str
    modes: tuple[tuple[str, Bars, scatter.Panel | None], ...]
    others: tuple[scatter.Panel, ...]
    not_drawn: tuple[CaseSummary, ...]


def _speed_pictures(
    cases: Sequence[CaseSummary],
    models: Sequence[answer.ModelAnswer],
    places: Mapping[str, int],
    shipped: Collection[str],
    least: float,
) -> list[SpeedPicture]:
    drawn = {picture.model: picture for picture in scatter.pictures(cases, least)}
    pictures = []
    for model_answer in models:
        panels = {panel.batch: panel for panel in drawn[model_answer.model].panels}
        title = "Throughput and latency" if model_answer.same_batch else "Throughput"
        modes = [(title, model_answer.throughput.batch)]
        if model_answer.latency and not model_answer.same_batch:
            modes.append(("Latency", model_answer.latency.batch))
        shown = [
            (title, row, panels.pop(batch, None))
            for title, batch in modes
            if (row := bars(cases, model_answer.model, batch, places, shipped))
        ]
        pictures.append(
            SpeedPicture(model_answer.model, tuple(shown), tuple(panels.values()), drawn[model_answer.model].not_drawn)
        )
    return pictures


def _rehearsal(session: Row) -> str:
    """Why the figures are none of what will ship, in a few words; empty where they are. Details stand under Trust."""
    if not (session["environment"].get("gpu") and on_gpu(session)):
        return "On a CPU: this tells nothing about a GPU."
    return (
        "It ran on the small models that ship with the project; yours will differ."
        if session["suite"].get("name") == "embedded"
        else ""
    )


def _regressions(
    rows: Sequence[Row], history: pd.DataFrame | None, since: Sequence[Regression] | None
) -> Sequence[Regression]:
    if since is None:
        return () if history is None else judge(history, rows[0]["session"])
    return since


def _by_model_and_batch(cases: Sequence[CaseSummary]) -> dict[str, dict[int, list[CaseSummary]]]:
    models: dict[str, dict[int, list[CaseSummary]]] = {}
    for case in cases:
        models.setdefault(case.model, {}).setdefault(case.batch, []).append(case)
    return models


def _names(cases: Sequence[CaseSummary]) -> str:
    """As JSON by its id what each model and backend is called, where that is something else."""
    called = {case.model: model_name(case.model) for case in cases}
    called |= {case.backend: backend_name(case.backend) for case in cases}
    return json.dumps({name: words for name, words in called.items() if name != words}, ensure_ascii=False)


def _end(rows: Sequence[Row]) -> Row | None:
    return next((row for row in reversed(rows) if row["kind"] == "end"), None)


def _headings(page: Markup) -> list[tuple[Markup, Markup]]:
    """(anchor, words) of each heading of the second level. What comes from the rows is escaped there and here alike."""
    return [(Markup(place), Markup(words)) for place, words in re.findall(r'<h2 id="([^"]+)"[^>]*>([^<]+)</h2>', page)]


def _moment(at: Any) -> str:
    """An ISO time in words a person reads; as it is if it is none."""
    try:
        return f"{datetime.fromisoformat(str(at)):%d %B %Y, %H:%M %Z}".removeprefix("0")
    except ValueError:
        return str(at)


def _write(path: Path, content: str) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ReportError(
            f"{path}: cannot write the report: {error.strerror or error}",
            hint="free some space or name another, writable folder; the rows are kept, so that "
            "`python -m reports render` can write the report later",
        ) from error
