"""Synthetic rows for the tests of the reports: a small session with every kind of outcome."""

from typing import Any

from reports.record.schema import CASE_KIND, EndRow, Row, SessionRow, StageRow

SESSION = "20261122T161000Z-1a2b"
AT = "2026-11-22T16:10:00+00:00"


def session_row(*, gpu: str | None = None, card: dict[str, Any] | None = None, **suite: Any) -> Row:
    return SessionRow(
        session=SESSION,
        at=AT,
        suite={
            "name": "embedded",
            "why": "no real weights were found",
            "yolo": {"name": "shapes-yolov8n", "sha256": "e4c9" * 16, "path": "fixtures/embedded/yolov8n.safetensors"},
            "clip": {"name": "shapes-clip", "sha256": "77ab" * 16, "path": "fixtures/embedded/clip.safetensors"},
            "data": {"detection": "generated scenes", "zero_shot": "captions", "evaluation_images": 256},
            **suite,
        },
        settings={"tolerance": 0.02, "device": "cpu" if gpu is None else "cuda"},
        environment={
            "platform": "Linux-6.1",
            "cpu": "Test CPU",
            "cores": 2,
            "gpu": gpu,
            **({"card": card} if card else {}),
            "python": "3.11.9",
            "packages": {"torch": "2.15.0", "onnxruntime": "1.32.0"},
            "commit": None,
        },
    ).to_dict()


def end_row(exit_status: int = 0) -> Row:
    return EndRow(session=SESSION, at=AT, seconds=412.5, exit_status=exit_status).to_dict()


def case(backend: str, precision: str, *, model: str = "yolov8n", batch: int = 8) -> dict[str, Any]:
    return {
        "id": f"{model}-{backend}-{precision}-b{batch}",
        "model": model,
        "task": "zero-shot" if "clip" in model else "detection",
        "backend": backend,
        "precision": precision,
        "batch": batch,
    }


def row(
    case: dict[str, Any],
    question: str,
    values: dict[str, Any] | None = None,
    *,
    outcome: str = "passed",
    reason: str | None = None,
) -> Row:
    return StageRow(CASE_KIND, SESSION, case, question, outcome, values or {}, reason, at=AT).to_dict()


def build(case: dict[str, Any], *, engine: str | None = None, **values: Any) -> Row:
    return row(
        case,
        "build",
        {
            "build_seconds": 12.5,
            "cached": False,
            "size_bytes": 6_500_000,
            "weights_bytes": 13_000_000,
            "cold_load_seconds": 0.21,
            "engine_sha256": engine or case["id"],
            "layers": {case["precision"]: 64},
            "notes": [],
            **values,
        },
    )


def speed(case: dict[str, Any], p50: float, *, spread: float = 0.01, engine: str | None = None, **values: Any) -> Row:
    """A speed row whose median is `p50` ms; its interval is p50 × (1 ± spread)."""
    return row(
        case,
        "speed",
        {
            "images_per_second": case["batch"] / p50 * 1000,
            "latency_ms": {
                "p50": p50,
                "low": p50 * (1 - spread),
                "high": p50 * (1 + spread),
                "p90": p50 * 1.1,
                "p95": None,
                "p99": None,
            },
            "samples_ms": [p50] * 5,
            "samples": 120,
            "warmup_s": 0.6,
            "steady": True,
            "stop_reason": "interval",
            "outliers": 1,
            "instrument": "host clock",
            "quantity": "end-to-end latency",
            "engine_sha256": engine or case["id"],
            **values,
        },
    )


def card_speed(case: dict[str, Any], p50: float, *, state: dict[str, Any] | None = None, **values: Any) -> Row:
    """A speed row of a card: `p50` ms of device time, 0.5 ms more end-to-end; `state` changes what the card did."""
    end_to_end = speed(case, p50 + 0.5)["values"]
    kept = ("images_per_second", "latency_ms", "samples", "steady", "stop_reason", "instrument", "quantity")
    watched = {
        "sm_clock_median_mhz": 1980.0,
        "sm_clock_share": 1.0,
        "temperature_max_c": 46,
        "power_mean_w": 154.4,
        "memory_peak_bytes": 917_569_536,
        "reasons": {},
        "throttled": False,
        "foreign": "",
        **(state or {}),
    }
    found = {
        "instrument": "CUDA events",
        "quantity": "device time",
        "end_to_end": {key: end_to_end[key] for key in kept},
        "card": watched,
        "throttled_retries": 0,
        "flops_per_image": 234_799_104.0,
        "share_of_peak": 0.0163,
        "peak_source": "a data sheet",
        "above_peak": False,
    }
    return speed(case, p50, **{**found, **values})


def launch(p50: float, *, iqr: float = 0.0, repeats: int = 0) -> dict[str, Any]:
    """What the host took to launch the calls of a speed row, in ms: 1 % of interval, and its interquartile range."""
    quantiles = {"p25": p50 * (1 - iqr / 2), "p75": p50 * (1 + iqr / 2), "low": p50 * 0.995, "high": p50 * 1.005}
    return {"queued": True, "latency_ms": {"p50": p50, **quantiles}, "repeats": repeats}


def metric(name: str, ratio: float, *, baseline: float = 0.468, spread: float = 0.008, gated: bool = True) -> Row:
    return {
        "name": name,
        "value": baseline * ratio,
        "baseline": baseline,
        "ratio": ratio,
        "low": ratio - spread,
        "high": ratio + spread,
        "gated": gated,
    }


def accuracy(
    case: dict[str, Any],
    ratio: float,
    *,
    outcome: str | None = None,
    engine: str | None = None,
    spread: float = 0.008,
    reason: str | None = None,
    **values: Any,
) -> Row:
    """An accuracy row that passes or fails as a gate of 2 % says, unless `outcome` says otherwise."""
    failed = ratio < 0.98
    return row(
        case,
        "accuracy",
        {
            "judged": True,
            "tolerance": 0.02,
            "metrics": [metric("mAP50-95", ratio, spread=spread), metric("mAP50", (ratio + 1) / 2, baseline=0.623)],
            "details": {"worst_cosine": 0.991},
            "evaluation_images": 256,
            "calibration_images": 64 if case["precision"] == "int8" else None,
            "engine_sha256": engine or case["id"],
            "small_set": False,
            **values,
        },
        outcome=outcome or ("failed" if failed else "passed"),
        reason=reason or (f"mAP50-95 holds {ratio:.3f} of the baseline" if failed else None),
    )


def answered(case: dict[str, Any], p50: float, ratio: float = 1.0) -> list[Row]:
    """Build, speed and accuracy of one case."""
    return [build(case), speed(case, p50), accuracy(case, ratio)]


FAST = case("tensorrt", "fp16")


def night(
    number: int, *answers: Row, commit: str | None = None, torch: str = "2.15.0", driver: str = "580.1"
) -> list[Row]:
    """Session `s<number>` on an H200, without an end; by default FAST took 2 ms."""
    start = session_row(gpu="NVIDIA H200", card={"driver": driver})
    start["environment"] |= {"packages": {"torch": torch}, "commit": commit or f"c{number}"}
    rows = [start, *(answers or (build(FAST), card_speed(FAST, 2.0)))]
    at = f"2026-01-{1 + number // 24:02}T{number % 24:02}:00:00+00:00"
    return [{**one, "session": f"s{number:03}", "at": at} for one in rows]
