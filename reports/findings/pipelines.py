"""What a session says of its pipelines from photo to answer: what broke, and what is not certain."""

from collections.abc import Iterator

from reports.analysis.certainty import LIKELY
from reports.analysis.pipeline import PHOTO_SETS, accuracy_mark, passes, rough, short_name, worst_metric
from reports.findings.base import Code, Data, Finding, Session
from reports.record.pipeline import PipelineSummary
from reports.record.results import Metric
from reports.record.schema import DEFAULT_TOLERANCE
from reports.text.formatting import first_line, gate_percent, percent, percent_interval, plain_reason, significant

PLACE = "pipelines"


def broken(seen: Session) -> Iterator[Finding]:
    """Pipelines that crashed, then those that failed, each with its reason."""
    for code, outcome, words in (
        (Code.PIPELINE_ERROR, "error", "crashed"),
        (Code.PIPELINE_FAILED, "failed", "failed"),
    ):
        for pipeline in seen.pipelines:
            for stage, ended in pipeline.outcomes.items():
                if ended != outcome:
                    continue
                reason = plain_reason(pipeline.reasons.get(stage, "no reason was recorded"))
                kept = _kept(pipeline) if stage == "accuracy" and outcome == "failed" else ""
                sentence = kept or f"the {stage} stage {words}: {reason}"
                data = {"id": pipeline.name.id, "stage": stage, **(_figures(pipeline) if kept else {"reason": reason})}
                yield Finding(code, "fail", sentence, _where(pipeline), data=data, place=PLACE)


def doubts(seen: Session) -> Iterator[Finding]:
    """Throughputs that are not steady, accuracies that more photos would decide, and what was not judged or run."""
    for pipeline in seen.pipelines:
        data = {"id": pipeline.name.id}
        speed = pipeline.speed
        if speed is not None and rough(speed):
            steadiness = "did not become steady" if speed.steady is False else "is not known well"
            between = f" ({significant(speed.low)}–{significant(speed.high)})" if speed.low and speed.high else ""
            sentence = f"its throughput {steadiness}: {significant(speed.photos_per_second)} photos a second{between}."
            yield Finding(Code.PIPELINE_UNSTEADY, "warn", sentence, _where(pipeline), data=data, place=PLACE)
        if accuracy_mark(pipeline) == LIKELY:
            sentence = f"passes, and may not on other photos: {_kept(pipeline)}"
            yield Finding(Code.PIPELINE_UNCERTAIN, "warn", sentence, _where(pipeline), data=data, place=PLACE)
        if speed is not None and pipeline.accuracy is None and not pipeline.failed and not pipeline.name.baseline:
            sentence = "its answers were not compared with those of the baseline pipeline."
            yield Finding(Code.PIPELINE_NOT_JUDGED, "info", sentence, _where(pipeline), data=data, place=PLACE)
        if not pipeline.attempted:
            sentence = f"did not run: {first_line(next(iter(pipeline.reasons.values()), 'no reason was recorded'))}"
            yield Finding(Code.PIPELINE_NOT_RUN, "info", sentence, _where(pipeline), data=data, place=PLACE)


def nothing_failed(seen: Session) -> str:
    """The good sentence about the pipelines of a run in which nothing failed; empty where none was judged."""
    judged = [pipeline for pipeline in seen.pipelines if passes(pipeline) and not pipeline.name.baseline]
    if not judged:
        return ""
    which = "The one judged pipeline keeps" if len(judged) == 1 else f"All {len(judged)} judged pipelines keep"
    return f"{which} at least {gate_percent(_least(judged[0]))} of the baseline pipeline's accuracy."


def _where(pipeline: PipelineSummary) -> str:
    return f"{PHOTO_SETS.get(pipeline.name.photo_set, pipeline.name.photo_set)}, {short_name(pipeline)}"


def _least(pipeline: PipelineSummary) -> float:
    lost = None if pipeline.accuracy is None else pipeline.accuracy.tolerance
    return 1 - (DEFAULT_TOLERANCE if lost is None else lost)


def _kept(pipeline: PipelineSummary) -> str:
    """What it keeps in the metric that is worst; of one that passes, the one whose interval reaches furthest down."""
    metric = _lowest(pipeline) if passes(pipeline) else worst_metric(pipeline)
    if metric is None or metric.ratio is None or pipeline.accuracy is None:
        return ""
    least, interval = _least(pipeline), percent_interval(metric.ratio)
    shown = percent(metric.ratio.value, least) + (f" ({interval})" if interval else "")
    of = f"keeps {shown} of the baseline pipeline's {metric.name} on {pipeline.accuracy.photos} photos"
    return f"{of}, needs {gate_percent(least)}."


def _figures(pipeline: PipelineSummary) -> Data:
    """The figures of `_kept` for a pipeline that failed."""
    metric = worst_metric(pipeline)
    if metric is None or metric.ratio is None:
        return {}
    ratio = metric.ratio
    return {
        "metric": metric.name, "ratio": ratio.value, "low": ratio.low, "high": ratio.high, "least": _least(pipeline),
    }  # fmt: skip


def _lowest(pipeline: PipelineSummary) -> Metric | None:
    metrics = [metric for metric in pipeline.accuracy.metrics if metric.gated] if pipeline.accuracy else []
    return min(metrics, key=lambda metric: 0.0 if metric.low is None else metric.low, default=None)
