"""How many photos or images a second pipelines and served models do: what a history and a comparison keep of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.record.pipeline import read_pipelines
from reports.record.schema import Row, StageOutcomes
from reports.record.serving import ServingLoad, ServingName, read_serving
from reports.text.formatting import pluralize

# What a served model is called whose server the suite started by itself: `--triton start`.
OWN_SERVER = "start"


@dataclass(frozen=True)
class Throughput:
    """A pipeline (photos a second), a served model (no figure: its loads have them), or such a model under one load.

    `subject` is the id of the pipeline or served model, and the `name` of all but loads. `low` and `high` are the
    95 % interval; without an interval there is no figure. `status` is "passed", "failed", "error" or "skipped", that of
    the subject; `reason` has the stages that did not pass. `steady` is what the sampler said of its warm-up.
    """

    name: str
    subject: str
    status: str
    reason: str
    per_second: float | None = None
    low: float | None = None
    high: float | None = None
    steady: bool | None = None

    @property
    def attempted(self) -> bool:
        return self.status != "skipped"


def throughputs(rows: Sequence[Row]) -> list[Throughput]:
    """Those of a session's rows, the pipelines first, each served model before its loads."""
    measured: list[Throughput] = []
    for pipeline in read_pipelines(rows):
        speed = pipeline.speed if _passed(pipeline) else None
        whole = _without_figure(pipeline.name.id, pipeline)
        if speed:
            whole = replace(
                whole, per_second=speed.photos_per_second, low=speed.low, high=speed.high, steady=speed.steady
            )
        measured.append(whole)
    for served in read_serving(rows):
        whole = _without_figure(served.name.id, served)
        measured.append(whole)
        loads = served.speed.loads if served.speed and _passed(served) else ()
        measured += [_of_load(whole, load_name(served.name, load), load) for load in loads]
    return measured


def _of_load(whole: Throughput, name: str, load: ServingLoad) -> Throughput:
    rate = load.images_per_second
    return replace(whole, name=name, per_second=rate, low=load.low, high=load.high, steady=load.steady)


def load_name(served: ServingName, load: ServingLoad) -> str:
    """`triton-yolov8n, 16 callers, shared memory`; of a server with a URL: `triton-yolov8n at URL, 1 caller`.

    The URL is part of it because two servers are two machines, or two ways to them: their figures make no series.
    """
    at = f" at {served.server}" if served.server not in ("", OWN_SERVER) else ""
    shared = ", shared memory" if load.shared_memory else ""
    return f"{served.id}{at}, {pluralize(load.callers, 'caller')}{shared}"


def _passed(subject: StageOutcomes) -> bool:
    return subject.outcomes.get("speed") == "passed"


def _without_figure(name: str, subject: StageOutcomes) -> Throughput:
    status = "failed" if subject.failed else "error" if subject.crashed else "passed"
    reason = "; ".join(f"{stage} {subject.outcomes[stage]}: {why}" for stage, why in subject.reasons.items())
    return Throughput(name, name, status if subject.attempted else "skipped", reason)
