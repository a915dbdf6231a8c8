"""Rows of models behind servers, as a session records them."""

from typing import Any

from reports.record.results import Metric, Quantiles, to_values
from reports.record.schema import SERVING_KIND, StageRow
from reports.record.serving import ServingAccuracy, ServingLoad, ServingSpeed


def load(callers: int, p50_ms: float = 10.0, shared_memory: bool = False, server: bool = True) -> ServingLoad:
    """A load of so many callers; `server`: with what the server tells of itself."""
    told: dict[str, float] = {"compute_ms": 6.0, "queue_ms": 2.0, "copy_ms": 0.5, "images_per_run": 2.0}
    return ServingLoad(
        callers=callers,
        shared_memory=shared_memory,
        latency_ms=Quantiles(p50=p50_ms, low=p50_ms * 0.99, high=p50_ms * 1.01, p99=3 * p50_ms),
        mean_ms=p50_ms * 1.1,
        requests_per_second=callers * 1e3 / p50_ms,
        images_per_second=callers * 1e3 / p50_ms,
        low=callers * 900 / p50_ms,
        high=callers * 1100 / p50_ms,
        client_cores=0.2,
        steady=True,
        samples_ms=(p50_ms,) * 3,
        **(told if server else {}),
    )


def speed(*loads: ServingLoad, **changed: Any) -> ServingSpeed:
    return ServingSpeed(
        boundary="HTTP client → server → client",
        server="a server",
        images_per_request=1,
        known_answer="2 requests answered as they should be",
        loads=loads or (load(1), load(4), load(16, shared_memory=True)),
        **changed,
    )


def judged(kept: float, same: float | None = 1.0, gated: bool = True) -> ServingAccuracy:
    metric = Metric(name="mAP50-95", value=kept, baseline=1.0, ratio_value=kept, low=kept, high=kept, gated=gated)
    return ServingAccuracy(metrics=(metric,), images=128, tolerance=0.02, same_as_engine=same, worst_error=1e-6)


def serving_row(
    name: str, result: ServingSpeed | ServingAccuracy | None = None, outcome: str = "passed", reason: str = ""
) -> dict[str, Any]:
    """A row of this result, a row of a stage that gave none, or (skipped) one of what could not be measured."""
    described = {"id": name, "service": name.partition("-")[0], "model": "yolov8n", "server": "http://host:8000"}
    question = result.STAGE if result else "matrix" if outcome == "skipped" else "speed"
    values = to_values(result) if result else {}
    return StageRow(SERVING_KIND, "s", described, question, outcome, values, reason or None, 1.0).to_dict()
