"""The tables of a session as pandas frames: one line a case, and one line a case and metric."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from reports.analysis.cases import CaseSummary, summarize
from reports.analysis.gpu_figures import gpu_figures
from reports.analysis.run_time import case_seconds
from reports.record.schema import Row

# Nullable types: a missing figure stays missing, and a count never turns into a float because another
# case lacks it.
COLUMNS = {
    "case": "string",
    "model": "string",
    "task": "string",
    "backend": "string",
    "precision": "string",
    "batch": "Int64",
    "streams": "Int64",
    "images_per_second": "Float64",
    "p50_ms": "Float64",
    "p50_low_ms": "Float64",
    "p50_high_ms": "Float64",
    "p90_ms": "Float64",
    "p95_ms": "Float64",
    "p99_ms": "Float64",
    "launch_p50_ms": "Float64",
    "end_to_end_p50_ms": "Float64",
    "end_to_end_p99_ms": "Float64",
    "speedup": "Float64",
    "speedup_low": "Float64",
    "speedup_high": "Float64",
    "metric": "string",
    "metric_value": "Float64",
    "metric_baseline": "Float64",
    "accuracy_ratio": "Float64",
    "accuracy_low": "Float64",
    "accuracy_high": "Float64",
    "gate": "string",
    "layers": "string",
    "size_bytes": "Int64",
    "weights_bytes": "Int64",
    "size_ratio": "Float64",
    "build_seconds": "Float64",
    "cached": "boolean",
    "cold_load_seconds": "Float64",
    "case_seconds": "Float64",
    "samples": "Int64",
    "outliers": "Int64",
    "warmup_s": "Float64",
    "steady": "boolean",
    "stop_reason": "string",
    "instrument": "string",
    "quantity": "string",
    "memory_peak_bytes": "Int64",
    "energy_mj_per_image": "Float64",
    "share_of_peak": "Float64",
    "sm_clock_mhz": "Float64",
    "temperature_max_c": "Float64",
    "energy_pass_power_w": "Float64",
    "throttled": "boolean",
    "throttled_repeats": "Int64",
    "foreign_processes": "string",
    "evaluation_images": "Int64",
    "calibration_images": "Int64",
    "small_set": "boolean",
    "engine_sha256": "string",
    "status": "string",
    "reason": "string",
    "problem": "string",
}

METRIC_COLUMNS = {
    "case": "string",
    "model": "string",
    "backend": "string",
    "precision": "string",
    "batch": "Int64",
    "streams": "Int64",
    "metric": "string",
    "value": "Float64",
    "baseline": "Float64",
    "ratio": "Float64",
    "low": "Float64",
    "high": "Float64",
    "gated": "boolean",
    "gate": "string",
    "evaluation_images": "Int64",
    "calibration_images": "Int64",
    "small_set": "boolean",
    "details": "string",
}


def build_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per case of the last session in `rows`, with the columns and types of `COLUMNS`.

    - `speedup` is the baseline's median latency over the case's: `pytorch` FP32, same model, same batch,
      same session, same instrument. On a card the launches stand in for a device time that is shorter than they
      (`launch_p50_ms` over `p50_ms`), and so they do in `images_per_second`: one caller gets no more. Its 95 %
      interval adds the relative half-widths of the two medians' intervals in quadrature (`summary.speed_ratio`). It
      is missing where there is no such baseline.
    - `metric` to `accuracy_high` are those of the gated metric with the worst ratio; `build_metric_table`
      has all metrics.
    - `gate` is "pass", "fail", "not judged" or "–" (never asked); "fail" also where the engine has not the precision
      asked for, or its reading is above the card's peak; "error" where a question crashed and none failed.
    - `quantity` says what `p50_ms` to `p99_ms` are of: "device time" on a card, where `launch_…` and
      `end_to_end_…` are beside it, and "end-to-end latency" on a CPU, which leaves all columns of a card empty.
    - `size_ratio` is the size on disk over the size of the weights file.
    - `problem` says why the line cannot be trusted, for instance that another engine was scored than timed.
    - `reason` has the reasons of all questions that did not simply pass, joined by "; ".
    """
    return case_table(summarize(rows))


def case_table(cases: Iterable[CaseSummary]) -> pd.DataFrame:
    """`build_table` of cases that are summarized already."""
    return _frame([_line(case) for case in cases], COLUMNS)


def build_metric_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per case and metric, gated or not, in the order of `build_table`."""
    return metric_table(summarize(rows))


def metric_table(cases: Iterable[CaseSummary]) -> pd.DataFrame:
    """`build_metric_table` of cases that are summarized already."""
    return _frame([line for case in cases for line in _metric_lines(case)], METRIC_COLUMNS)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a frame as plain Python values, with None for what is missing."""
    plain = frame.astype(object)
    return plain.where(frame.notna(), None).to_dict("records")


def layers_text(layers: Mapping[str, int]) -> str | None:
    """`{"fp32": 12, "int8": 57}` as "57 INT8 + 12 FP32", most layers first."""
    if not layers:
        return None
    ordered = sorted(layers.items(), key=lambda item: -item[1])
    named = ((count, " or ".join(precision.upper().split(" OR "))) for precision, count in ordered)
    return " + ".join(f"{count} {precision}" for count, precision in named)


def size_ratio(case: CaseSummary) -> float | None:
    """Bytes of the engine on disk over bytes of the weights file that it was built from."""
    size, weights = case.build.size_bytes, case.build.weights_bytes
    return size / weights if size is not None and weights else None


def _line(case: CaseSummary) -> dict[str, Any]:
    build, speed = case.build, case.speed
    latency, speedup, metric = case.latency, case.speedup, case.metric
    ratio = metric.ratio if metric else None
    return {
        **_identity(case),
        "task": case.task,
        "images_per_second": case.images_per_second,
        "p50_ms": latency and latency.p50_ms,
        "p50_low_ms": latency and latency.low_ms,
        "p50_high_ms": latency and latency.high_ms,
        "p90_ms": latency and latency.p90_ms,
        "p95_ms": latency and latency.p95_ms,
        "p99_ms": latency and latency.p99_ms,
        "speedup": speedup and speedup.value,
        "speedup_low": speedup and speedup.low,
        "speedup_high": speedup and speedup.high,
        "metric": metric and metric.name,
        "metric_value": metric and metric.value,
        "metric_baseline": metric and metric.baseline,
        "accuracy_ratio": ratio and ratio.value,
        "accuracy_low": ratio and ratio.low,
        "accuracy_high": ratio and ratio.high,
        "layers": layers_text(build.layers),
        "size_ratio": size_ratio(case),
        "case_seconds": case_seconds(case),
        "engine_sha256": case.engine_sha256,
        "size_bytes": build.size_bytes,
        "weights_bytes": build.weights_bytes,
        "build_seconds": build.build_seconds,
        "cold_load_seconds": build.cold_load_seconds,
        "samples": speed.samples,
        "outliers": speed.outliers,
        "warmup_s": speed.warmup_s,
        **_evaluation(case),
        **_card(case),
        "cached": build.cached,
        "steady": speed.steady,
        "stop_reason": speed.stop_reason,
        "instrument": speed.instrument,
        "quantity": speed.quantity,
        "status": case.status,
        "reason": "; ".join(f"{question} {outcome}: {reason}" for question, outcome, reason in case.reasons()) or None,
        "problem": "; ".join(case.problems) or None,
    }


def _card(case: CaseSummary) -> dict[str, Any]:
    card = gpu_figures(case)
    watched = case.speed.gpu is not None
    return {
        "launch_p50_ms": card.launch and card.launch.p50_ms,
        "end_to_end_p50_ms": card.end_to_end and card.end_to_end.p50_ms,
        "end_to_end_p99_ms": card.end_to_end and card.end_to_end.p99_ms,
        "memory_peak_bytes": card.memory_bytes,
        "energy_mj_per_image": card.energy_mj,
        "share_of_peak": card.share_of_peak,
        "sm_clock_mhz": card.sm_clock_mhz,
        "temperature_max_c": card.temperature_max_c,
        "energy_pass_power_w": card.energy_power_w,
        "throttled": card.throttled if watched else None,
        "throttled_repeats": card.repeats if watched else None,
        "foreign_processes": card.foreign or None,
    }


def _metric_lines(case: CaseSummary) -> list[dict[str, Any]]:
    details = case.accuracy.details
    return [
        {
            **_identity(case),
            **_evaluation(case),
            "metric": metric.name,
            "value": metric.value,
            "baseline": metric.baseline,
            "ratio": metric.ratio and metric.ratio.value,
            "low": metric.ratio and metric.ratio.low,
            "high": metric.ratio and metric.ratio.high,
            "gated": metric.gated,
            "details": json.dumps(details, ensure_ascii=False) if details else None,
        }
        for metric in case.metrics
    ]


def _identity(case: CaseSummary) -> dict[str, Any]:
    return {
        "case": case.id,
        "model": case.model,
        "backend": case.backend,
        "precision": case.precision,
        "batch": case.batch,
        "streams": case.streams,
    }


def _evaluation(case: CaseSummary) -> dict[str, Any]:
    return {
        "gate": case.gate_label,
        "evaluation_images": case.accuracy.evaluation_images,
        "calibration_images": case.accuracy.calibration_images,
        "small_set": case.accuracy.small_set,
    }


def _frame(lines: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([_typed(line[name], dtype) for line in lines], dtype=dtype) for name, dtype in columns.items()}
    )


def _typed(value: Any, dtype: str) -> Any:
    """The value as the column's type has it: a count that is a float in the record is a whole number here."""
    return int(value) if dtype == "Int64" and value is not None else value
