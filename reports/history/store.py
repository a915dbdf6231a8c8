"""The history of a machine: one small file for each GPU model and driver, to which every session is appended.

A file is JSON lines: what the file is, then for each session its environment and one line a case. A pipeline, a
served model and each load of it have such a line, too, without a backend (`reports.history.throughput`). A CI can carry
the folder as an artifact or a cache; no server is needed. Figures that are not to be trusted (a failed, skipped,
crashed or unsteady case) are kept as what they are, and `trusted` columns keep them out of every baseline. Raw
samples stay in the record of the session.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from reports.analysis.cases import CaseSummary, summarize
from reports.analysis.timing_quality import SHORTER, caveats, disturbed
from reports.errors import ReportError
from reports.history.file_format import SCHEMA, NotHistoryError, read_lines, replace_file, set_aside
from reports.history.thresholds import read_thresholds
from reports.history.throughput import Throughput, throughputs
from reports.record.schema import Row
from reports.record.session import read_environment, read_settings, read_suite
from reports.record.store import last_session

SUFFIX = ".history.jsonl"

COLUMNS = {
    "device": "string",
    "session": "string",
    "at": "string",
    "commit": "string",
    "environment": "object",
    "case": "string",
    "model": "string",
    "backend": "string",
    "precision": "string",
    "batch": "Int64",
    "status": "string",
    "gate": "string",
    "reason": "string",
    "images_per_second": "Float64",
    "device_p50_ms": "Float64",
    "device_p50_low_ms": "Float64",
    "device_p50_high_ms": "Float64",
    "end_to_end_p50_ms": "Float64",
    "end_to_end_p50_low_ms": "Float64",
    "end_to_end_p50_high_ms": "Float64",
    "accuracy_metric": "string",
    "accuracy_ratio": "Float64",
    "accuracy_low": "Float64",
    "accuracy_high": "Float64",
    "build_seconds": "Float64",
    "known_timings_build_seconds": "Float64",
    "size_bytes": "Float64",
    "throughput_per_second": "Float64",
    "throughput_low_per_second": "Float64",
    "throughput_high_per_second": "Float64",
    "trusted": "boolean",
    "trusted_speed": "boolean",
    "trusted_end_to_end": "boolean",
    "trusted_throughput": "boolean",
    "thresholds": "object",
}


def append(folder: str | os.PathLike[str], rows: Sequence[Row]) -> Path:
    """Add the last session of a record to the history in `folder`, and return the file that has it.

    Appending a session again adds only what is new (a resumed run, another shard). The file is replaced as a
    whole, so that a crash leaves the old or the new one; appending processes wait for each other. Raises
    `ReportError`: where the file is not such a history, which is then renamed and never written to; where the
    rows hold no session; where the disk refuses.
    """
    lines = session_lines(rows)
    head, case_lines = lines[0], lines[1:]
    path = Path(folder) / file_name(head["device"], head["driver"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            try:
                stored_lines = read_lines(path) if path.exists() else [head]
            except NotHistoryError as fault:
                raise set_aside(path, str(fault)) from None
            new = [line for line in case_lines if line not in stored_lines]
            if new:
                replace_file(path, [*stored_lines, *new])
    except OSError as error:
        raise ReportError(
            f"{path}: cannot write the history: {error.strerror or error}",
            hint="name a folder that can be written to and has room; what was there is unchanged",
        ) from error
    return path


def load(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """All files of a folder as one frame, with the columns of `COLUMNS`: one line a session and case, by time.

    `environment` is a dict of names to versions, `thresholds` one of columns to the least change that matters for
    this case, as the folder's `thresholds.toml` has them (`reports.history.thresholds`). Of a case that a session holds
    twice the last line counts. An empty or missing folder gives an empty frame. Raises `ReportError` for a file
    that is no history, and for thresholds that are none; nothing is renamed, as the folder may be someone else's.
    """
    thresholds = read_thresholds(folder)
    by_case: dict[tuple[str, str, str], dict[str, Any]] = {}
    for path in sorted(Path(folder).glob(f"*{SUFFIX}")):
        try:
            lines = read_lines(path)
        except OSError as error:
            raise ReportError(f"{path}: cannot read the history: {error}", hint="make it readable") from error
        except NotHistoryError as fault:
            raise ReportError(
                f"{path}: not a history of this suite: {fault}", hint="move the file away, or restore an older copy"
            ) from None
        device, sessions = lines[0]["device"], {line["session"]: line for line in lines if line["kind"] == "session"}
        for line in lines:
            if line["kind"] == "case" and line["session"] in sessions:
                # Popped first, so that the later line also takes the later place.
                by_case.pop((device, line["session"], line["case"]), None)
                by_case[device, line["session"], line["case"]] = {"device": device, **sessions[line["session"]], **line}
                by_case[device, line["session"], line["case"]]["thresholds"] = thresholds.of(line["case"])
    frame = pd.DataFrame(
        {name: pd.Series([line.get(name) for line in by_case.values()], dtype=kind) for name, kind in COLUMNS.items()}
    )
    return frame.sort_values(["at", "session"], kind="stable", ignore_index=True)


def file_name(device: str, driver: str) -> str:
    """`nvidia-h200--580.95.05.history.jsonl`: letters, digits, dots and dashes only."""
    parts = [re.sub(r"[^a-z0-9.]+", "-", part.lower()).strip("-.") for part in (device, driver)]
    return "--".join(part or "unknown" for part in parts) + SUFFIX


def session_lines(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The lines that a history keeps of the last session in `rows`: the file's head, the session, its cases."""
    session = next((row for row in last_session(list(rows)) if row["kind"] == "session"), None)
    if session is None:
        raise ReportError("these rows hold no session", hint="give the rows of a benchmark record")
    environment = read_environment(session["environment"])
    gpu = environment.gpu if read_settings(session).on_gpu else None
    device, driver = gpu or environment.cpu or "cpu", (environment.card.driver or "") if gpu else ""
    # What stands on every line of a file must not differ between the sessions of one night's shards.
    return [
        {"kind": "history", "schema": SCHEMA, "device": device, "driver": driver or ("unknown" if gpu else "cpu")},
        {
            "kind": "session",
            "session": session["session"],
            "at": session["at"],
            "commit": environment.commit,
            "environment": _environment(session, driver),
        },
        *(_case_line(session["session"], case) for case in summarize(rows)),
        *(_throughput_line(session["session"], each) for each in throughputs(last_session(list(rows)))),
    ]


def _environment(session: Row, driver: str) -> dict[str, str]:
    """Everything beside the commit that may move a figure, name by name: versions, driver, weights."""
    environment = read_environment(session["environment"])
    named: dict[str, Any] = {**environment.packages, "driver": driver}
    named |= {name: getattr(environment, name) for name in ("python", "platform", "cpu", "cores")}
    named |= {f"{name} weights": part.sha256[:12] for name, part in read_suite(session["suite"]).items() if part.sha256}
    return {name: str(value) for name, value in sorted(named.items()) if value}


def _case_line(session: str, case: CaseSummary) -> dict[str, Any]:
    speed, build, metric = case.speed, case.build, case.metric
    timed = case.latency
    on_gpu = speed.quantity == "device time"
    second = speed.end_to_end.latency if speed.end_to_end else None
    ratio = metric.ratio if metric else None
    # A failed gate is told by the gate. Nothing of a case that failed, crashed or contradicts itself is a baseline.
    trusted = case.status == "passed" and not case.problems
    answer = case.answers.get("speed")
    passed = bool(answer and answer.outcome == "passed")
    reliable, second_reliable = _reliable(case, on_gpu)
    return {
        "kind": "case",
        "session": session,
        "case": case.id,
        **{name: getattr(case, name) for name in ("model", "backend", "precision", "batch", "status")},
        "gate": case.gate_label,
        "reason": "; ".join(f"{question} {outcome}: {reason}" for question, outcome, reason in case.reasons()) or None,
        "images_per_second": case.images_per_second,
        **_p50("device", timed if on_gpu else None),
        **_p50("end_to_end", second if on_gpu else timed),
        "accuracy_metric": metric and metric.name,
        "accuracy_ratio": ratio and ratio.value,
        "accuracy_low": ratio and ratio.low,
        "accuracy_high": ratio and ratio.high,
        "known_timings_build_seconds" if build.known_timings_bytes else "build_seconds": (
            None if build.cached else build.build_seconds
        ),
        "size_bytes": build.size_bytes,
        "trusted": trusted,
        "trusted_speed": trusted and passed and reliable,
        "trusted_end_to_end": trusted and passed and second_reliable,
    }


def _throughput_line(session: str, throughput: Throughput) -> dict[str, Any]:
    return {
        "kind": "case",
        "session": session,
        "case": throughput.name,
        "status": throughput.status,
        "reason": throughput.reason or None,
        "throughput_per_second": throughput.per_second,
        "throughput_low_per_second": throughput.low,
        "throughput_high_per_second": throughput.high,
        # An unsteady one counts: of the eight pipelines of reports/published/h200-pipeline six were measured before
        # their warm-up was steady, and would never have a history. How rough a night was tells its interval, by which
        # it is weighed.
        "trusted_throughput": throughput.status == "passed"
        and None not in (throughput.per_second, throughput.low, throughput.high),
    }


def _reliable(case: CaseSummary, on_gpu: bool) -> tuple[bool, bool]:
    """Whether the first clock's time may be a baseline, and whether the latency with the copies may.

    On a CPU they are one. On a GPU the second clock has doubts of its own, and shares the GPU's state and a level that
    contradicts the first. What the GPU did stands beside the second clock; older records tell of the first alone.
    """
    doubts = caveats(case)
    reliable = case.speed.steady is True and all(each.of_second_clock for each in doubts)
    second = case.speed.end_to_end
    if not on_gpu or second is None:
        return reliable, reliable and not on_gpu
    contended = disturbed(case, second.gpu) if second.gpu else any(each.of_gpu for each in doubts)
    doubted = any(each.of_second_clock or each.code == SHORTER for each in doubts)
    return reliable, second.steady is True and not contended and not doubted


def _p50(clock: str, timing: Any) -> dict[str, float | None]:
    names = {"p50_ms": f"{clock}_p50_ms", "low_ms": f"{clock}_p50_low_ms", "high_ms": f"{clock}_p50_high_ms"}
    return {column: getattr(timing, field) if timing else None for field, column in names.items()}
