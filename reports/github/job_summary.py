"""A night's result where GitHub shows it: Markdown for the job page, and one annotation a case that needs a look.

The figures, sentences and their order are those of the report (`reports.findings.reading`); this module only writes
them in GitHub's two languages. Both take text from the record, which anyone may have written: it is escaped.
"""

import re
from collections.abc import Iterator, Sequence

from reports.analysis.cases import CaseSummary
from reports.analysis.gpu_figures import speeds
from reports.analysis.phrases import gate_sentence
from reports.analysis.timing_quality import caveats
from reports.description.machine import machine
from reports.description.not_run import unanswered
from reports.findings.base import Session
from reports.findings.claims import NOT_MEASURED, judge_claims
from reports.findings.pipelines import broken
from reports.findings.reading import Reading, read
from reports.findings.serving import broken as broken_servers
from reports.history.session_regressions import Regression
from reports.record.schema import Row
from reports.record.store import last_session
from reports.text.formatting import (
    MISSING,
    join_words,
    percent,
    percent_interval,
    pluralize,
    significant,
    times,
    times_interval,
)

# A larger summary is dropped whole (actions/runner, FileCommandManager.cs: AttachmentSizeLimit).
SUMMARY_BYTES = 1024 * 1024
# Of each kind a step shows the first ten and says nothing of the others (github.com/orgs/community/discussions/26680).
ANNOTATIONS_PER_KIND = 10
# The runner cuts a longer message (actions/runner, ExecutionContext.cs: _maxIssueMessageLength).
MESSAGE_CHARACTERS = 4096
# One cell or sentence of the page: enough for the longest the verdict writes, too little to fill the page.
TEXT_CHARACTERS = 1000

LEVEL_SIGNS = {"fail": "❌", "warn": "⚠️", "ok": "✅", "info": "ℹ️"}
COLUMNS = ("engine", "img/s", "speed-up (95 %)", "accuracy kept (95 %)", "gate")

# Control characters, line separators, marks that turn the direction of writing, and lone surrogates.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&vert;"})
MARKDOWN = re.compile(r"([\\`*_\[\]#~!$])")


def job_summary(rows: Sequence[Row], most_bytes: int = SUMMARY_BYTES, since: Sequence[Regression] = ()) -> str:
    """The last session in `rows` as Markdown of at most `most_bytes` bytes (UTF-8): answer, what broke, doubts.

    Behind them stand the recommendations, the table and what did not run.

    `since` is what the history says of this session (`reports.history.session_regressions.judge`).
    What does not fit is left out from the end, by whole lines, and counted.
    """
    session = last_session(list(rows))
    reading = read(session, since)
    lines = [*_answer(reading), *_broken(reading), *_doubts_of(reading), *_since(since)]
    lines += [line for section in (_recommendations, _table, _claims, _unanswered) for line in section(reading)]
    return _fit(lines, most_bytes)


def annotations(rows: Sequence[Row], most: int = ANNOTATIONS_PER_KIND, since: Sequence[Regression] = ()) -> list[str]:
    """Workflow commands for the last session in `rows`, at most `most` of each kind.

    An error for each case that failed its gate, then for each other failure, then for what is worse `since`
    earlier nights; a warning for each question that stopped with an error, then for each timing
    that is to be taken as rough, then for each doubt of the history. The last one of a full kind counts the rest.
    """
    seen = Session.of(rows)
    session, cases, least = seen.rows, seen.cases, seen.least
    failed = [*_failures(cases, least), *((f"Pipeline: {each.where}", each.sentence) for each in broken(seen))]
    failed += [(each.where.capitalize(), each.sentence) for each in broken_servers(seen)]
    if not any(row["kind"] == "end" for row in session):
        failed.append(("The run did not finish", "The record has no end: see the log for what stopped the run."))
    failed += [(one.title, one.sentence) for one in since if one.level == "fail"]
    doubts = [*_doubts(cases), *((one.title, one.sentence) for one in since if one.level != "fail")]
    return [*_commands("error", failed, most), *_commands("warning", doubts, most)]


def command(kind: str, title: str, message: str) -> str:
    """One workflow command: `::error title=…::…`, escaped as the runner undoes it (actions/toolkit, command.ts)."""
    lines = "\n".join(UNPRINTABLE.sub(" ", line).rstrip() for line in message.splitlines())
    name = _clipped(UNPRINTABLE.sub(" ", title), 200)
    data = _percent_encoded(_clipped(lines, MESSAGE_CHARACTERS))
    return f"::{kind} title={_percent_encoded(name).replace(':', '%3A').replace(',', '%2C')}::{data}"


def escaped(text: object) -> str:
    """Any text as one line of plain text inside a Markdown table, list or paragraph."""
    line = _clipped(UNPRINTABLE.sub(" ", str(text)).strip(), TEXT_CHARACTERS)
    return MARKDOWN.sub(r"\\\1", line.translate(ENTITIES))


def _percent_encoded(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _commands(kind: str, messages: Sequence[tuple[str, str]], most: int) -> list[str]:
    shown = messages if len(messages) <= most else messages[: most - 1]
    commands = [command(kind, title, message) for title, message in shown]
    if hidden := len(messages) - len(shown):
        text = f"GitHub shows {most} {kind}s a step; the job summary and the report have the others."
        commands.append(command(kind, f"{hidden} more are not shown here", text))
    return commands


def _failures(cases: Sequence[CaseSummary], least: float) -> Iterator[tuple[str, str]]:
    """(title, message) of what fails a case: first the gates, then everything else that is wrong with one."""
    for case in cases:
        if case.gate == "fail":
            reason = case.answers["accuracy"].reason or "; ".join(case.problems)
            yield f"{case.id} failed its gate", reason or gate_sentence(case, least)
    for case in cases:
        for question, outcome, reason in case.reasons():
            if outcome == "failed" and question != "accuracy":
                yield f"{case.id} failed its {question} question", reason
        if case.problems and case.gate != "fail":
            yield f"{case.id} cannot be trusted", "; ".join(case.problems)


def _doubts(cases: Sequence[CaseSummary]) -> Iterator[tuple[str, str]]:
    for case in cases:
        for question, outcome, reason in case.reasons():
            if outcome == "error":
                yield f"{case.id} stopped with an error ({question})", reason
    for case in cases:
        if case_caveats := caveats(case):
            yield (
                f"{case.id} is a rough timing",
                f"Take it as rough: {join_words(each.words for each in case_caveats)}.",
            )


def _answer(reading: Reading) -> Iterator[str]:
    where, caveat = machine(reading.seen.rows[0])
    status = reading.status
    yield "## image-engine-bench"
    yield ""
    yield from (f"- {escaped(sentence)}" for sentence in reading.sentences)
    if reading.sentences:
        yield ""
    sign = LEVEL_SIGNS["fail" if status.words else "ok" if status.measured else "warn"]
    yield f"{sign} **{escaped('; '.join(status.words) or status.all_well)}**"
    yield ""
    yield " ".join(filter(None, [f"Machine: {escaped(where)}. {escaped(caveat)}", speeds(reading.cases)]))


def _broken(reading: Reading) -> Iterator[str]:
    if reading.broken:
        yield from ("", "### What broke", "")
    for each in reading.broken:
        where = f"**{escaped(each.where)}**: " if each.where else ""
        yield f"- {LEVEL_SIGNS['fail']} {where}{escaped(each.brief)}"
    if reading.broken:
        yield from ("", "<details><summary>Each in full</summary>", "")
        yield from (f"- {escaped(each.line)}" for each in reading.broken)
        yield from ("", "</details>")


def _doubts_of(reading: Reading) -> Iterator[str]:
    """One line a kind, and in a fold below what they say."""
    if not reading.doubts:
        return
    yield from ("", "### How sure is it", "")
    for kind in reading.doubts:
        yield f"- {LEVEL_SIGNS[kind.level]} {escaped(kind.title)}"
    yield from ("", "<details><summary>Which cases, and why</summary>", "")
    for kind in reading.doubts:
        yield from (f"- {LEVEL_SIGNS[finding.level]} {escaped(finding.text)}" for finding in kind.findings)
    yield from ("", "</details>")


def _since(regressions: Sequence[Regression]) -> Iterator[str]:
    if regressions:
        yield from ("", "### Since when", "")
    for regression in regressions:
        head = f"{LEVEL_SIGNS[regression.level]} **{regression.kind.capitalize()}** {escaped(regression.case)}"
        yield f"- {head}: {escaped(regression.sentence)}"


def _recommendations(reading: Reading) -> Iterator[str]:
    choices = reading.choices
    if not choices:
        return
    yield from ("", "### What to ship", "", _row("model", "batch", "engine", "why"), _row(*["---"] * 4))
    for choice in choices:
        engines = " or ".join(f"**{escaped(engine)}**" for engine in choice.engines) or MISSING
        yield _row(escaped(choice.model), str(choice.batch), engines, escaped(choice.text))


def _table(reading: Reading) -> Iterator[str]:
    least = reading.least
    shipped = {case_id for choice in reading.choices for case_id in choice.case_ids}
    group = None
    for case in reading.cases:
        if not case.attempted:
            continue
        if group != (case.model, case.batch):
            group = (case.model, case.batch)
            yield from ("", f"### {escaped(case.model)}, batch {case.batch}", "")
            yield from (_row(*COLUMNS), _row("---", "---:", "---:", "---:", "---"))
        name = escaped(case.name)
        yield _row(f"**{name}**" if case.id in shipped else name, *_figures(case, least))


def _figures(case: CaseSummary, least: float) -> tuple[str, str, str, str]:
    """The cells behind the engine's name, each a figure with its interval where one is known."""
    speedup, ratio = case.speedup, case.metric.ratio if case.metric else None
    rate = significant(case.images_per_second)
    rate += " (rough)" if caveats(case) else ""
    faster = _with(times(speedup.value if speedup else None), "" if case.is_baseline else times_interval(speedup))
    kept = _with(percent(ratio.value if ratio else None, least), percent_interval(ratio))
    shown = case.gate_label
    gate = "**fail**" if shown == "fail" else _with(shown, "" if case.status in ("passed", shown) else case.status)
    return rate, faster, kept, gate


def _with(figure: str, beside: str) -> str:
    return f"{figure} ({beside})" if beside else figure


def _claims(reading: Reading) -> Iterator[str]:
    """The promises that this run has an answer to, and how many it has none to."""
    claims = judge_claims(reading.seen)
    measured = [claim for claim in claims if claim.verdict != NOT_MEASURED]
    if not measured:
        return
    yield from ("", "### Claims", "", _row("promise", "here", "measured"), _row(*["---"] * 3))
    for claim in measured:
        yield _row(escaped(claim.text), f"**{claim.verdict}**", escaped(claim.found or claim.why))
    if left := len(claims) - len(measured):
        yield from ("", f"Not measured in this run: {pluralize(left, 'promise')}; the report tells why of each.")


def _unanswered(reading: Reading) -> Iterator[str]:
    groups = unanswered(reading.cases)
    if not groups:
        return
    yield from ("", "### What did not run", "")
    for group in groups:
        question = " ".join(filter(None, [group.question, "error" if group.outcome == "error" else ""]))
        reason = escaped(f"{question}: {group.reason}" if question else group.reason)
        yield f"- {reason} – {pluralize(len(group.cases), 'case')}: {escaped(group.where)}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _fit(lines: Sequence[str], most_bytes: int) -> str:
    """As many whole lines as fit, and a last one that counts the others."""

    def ending(left_out: int) -> str:
        shown = f"{pluralize(left_out, 'more line')} did not fit into this page; the report has everything."
        return f"\n{shown}\n"

    sizes = [len(line.encode()) + 1 for line in lines]
    if sum(sizes) <= most_bytes:
        return "".join(f"{line}\n" for line in lines)
    room, kept = most_bytes - len(ending(len(lines)).encode()) - len("\n</details>\n"), 0
    while kept < len(lines) and sizes[kept] <= room:
        room -= sizes[kept]
        kept += 1
    inside = sum(line.startswith("<details>") for line in lines[:kept]) > lines[:kept].count("</details>")
    unclosed = "\n</details>\n" if inside else ""
    return "".join(f"{line}\n" for line in lines[:kept]) + unclosed + ending(len(lines) - kept)
