"""The section of models behind servers: what a template and a terminal need, computed and worded here."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.record.serving import ServingAccuracy, ServingLoad, ServingSpeed, ServingSummary
from reports.text.formatting import MISSING, first_line, milliseconds, pluralize, significant


@dataclass(frozen=True)
class ServingLine:
    """One load of one served model, worded."""

    callers: str
    how: str
    rate: str
    interval: str
    p50: str
    p99: str
    mean: str
    compute: str
    queue: str
    copy: str
    outside: str
    images_per_run: str
    client: str
    steady: bool


@dataclass(frozen=True)
class ServedModel:
    """One served model: its loads, what its answers are worth, and what did not end well."""

    id: str
    server: str
    boundary: str
    known_answer: str
    lines: tuple[ServingLine, ...]
    answers: tuple[str, ...]
    notes: tuple[str, ...]
    troubles: tuple[str, ...]


def serving_section(served: Sequence[ServingSummary]) -> tuple[ServedModel, ...]:
    """The served models of a session; empty where it has none."""
    return tuple(_model(each) for each in served)


def serving_text(served: Sequence[ServingSummary]) -> list[str]:
    """The same for a terminal."""
    lines = []
    for model in serving_section(served):
        lines.append(f"{model.id}: {model.server}" if model.server else model.id)
        if model.boundary:
            lines.append(f"  {model.boundary}")
        for line in model.lines:
            who = f"{line.callers:>2} callers{f', {line.how}' if line.how else ''}"
            lines.append(
                f"  {who:25} {line.rate:>7} img/s ({line.interval})  "
                f"client p50 {line.p50}, p99 {line.p99}, mean {line.mean}; server: compute {line.compute}, queue "
                f"{line.queue}, copies {line.copy}; outside {line.outside}; {line.images_per_run} images a run"
            )
        lines += [f"  {sentence}" for sentence in (*model.answers, *model.notes, *model.troubles)]
    return [*lines, ""] if lines else []


def _model(summary: ServingSummary) -> ServedModel:
    speed, accuracy = summary.speed, summary.accuracy
    troubles = tuple(
        f"{stage}: {ended}: {first_line(summary.reasons.get(stage, 'no reason was recorded'))}".removeprefix("matrix: ")
        for stage, ended in summary.outcomes.items()
        if ended != "passed"
    )
    return ServedModel(
        id=summary.name.id,
        server=speed.server if speed else summary.name.server,
        boundary=f"{speed.boundary}; {pluralize(speed.images_per_request, 'image')} a request" if speed else "",
        known_answer=speed.known_answer if speed else "",
        lines=tuple(_line(load) for load in speed.loads) if speed else (),
        answers=_answers(accuracy) if accuracy else (),
        notes=_notes(speed) if speed else (),
        troubles=troubles,
    )


def _line(load: ServingLoad) -> ServingLine:
    latency = load.latency_ms
    return ServingLine(
        callers=str(load.callers),
        how="shared memory" if load.shared_memory else "",
        rate=significant(load.images_per_second) if load.images_per_second else MISSING,
        interval=f"{significant(load.low)}–{significant(load.high)}" if load.low and load.high else "",
        p50=_ms(latency.p50 if latency else None),
        p99=_ms(latency.p99 if latency else None),
        mean=_ms(load.mean_ms),
        compute=_ms(load.compute_ms),
        queue=_ms(load.queue_ms),
        copy=_ms(load.copy_ms),
        outside=_ms(load.outside_ms),
        images_per_run=MISSING if load.images_per_run is None else f"{load.images_per_run:.1f}",
        client=MISSING if load.client_cores is None else f"{load.client_cores:.2f}",
        steady=load.steady is not False,
    )


def _ms(value: float | None) -> str:
    return MISSING if value is None else milliseconds(value)


def _answers(accuracy: ServingAccuracy) -> tuple[str, ...]:
    sentences = []
    for metric in accuracy.metrics:
        ratio = "" if metric.ratio_value is None else f", {100 * metric.ratio_value:.1f} % of {_of(metric.name)}"
        between = f" ({100 * metric.low:.1f}–{100 * metric.high:.1f})" if metric.low and metric.high else ""
        value = MISSING if metric.value is None else f"{metric.value:.4f}"
        gate = "" if metric.gated else "; shown, not gated"
        sentences.append(f"{metric.name} {value}{ratio}{between}{gate}, on {pluralize(accuracy.images, 'image')}")
    if accuracy.same_as_engine is not None:
        worst = "" if accuracy.worst_error is None else f" (largest relative error {accuracy.worst_error:.2g})"
        sentences.append(
            f"agreement with the same engine in the suite's own process {accuracy.same_as_engine:.4f}{worst}"
        )
    return tuple(sentences)


def _of(metric: str) -> str:
    return "its own" if metric.startswith("agreement") else "the suite's PyTorch FP32"


def _notes(speed: ServingSpeed) -> tuple[str, ...]:
    sentences = [f"known answer before timing: {speed.known_answer}"] if speed.known_answer else []
    if speed.requests is not None:
        mended = ", ".join(f"{number} × {kind}" for kind, number in speed.faults.items())
        resent = f", of which had to be sent again: {mended}" if mended else ""
        sentences.append(f"{pluralize(speed.requests, 'request')} sent{resent}")
    if speed.price_per_thousand is not None:
        sentences.append(f"a thousand images cost {significant(speed.price_per_thousand)} ({speed.price_basis})")
    return tuple(sentences)
