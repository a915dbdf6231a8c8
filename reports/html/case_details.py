"""Why a case has the figures that it has: what its rows say beyond the tables, in words and one small picture."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from markupsafe import Markup

from reports.analysis.cases import CaseSummary
from reports.analysis.run_time import case_seconds
from reports.analysis.stationarity import movement
from reports.analysis.tables import layers_text
from reports.analysis.timing_quality import at_power_limit, caveats, interval_width, samples_by_process
from reports.html.case_details_charts import Table, card, chart, tables
from reports.html.case_details_gpu import callers_words, gpu_words, launches_words
from reports.html.changed_examples import Changed, changed_images
from reports.text.formatting import join_words, milliseconds, sentence, significant

# What the sampling rule means by the reasons that it records.
STOPPED = {
    "interval": "stopped when the median was known well enough",
    "plateau": "stopped because more samples brought nothing: the level itself moves",
    "time limit": "stopped at the time limit",
}
USUAL = "nothing unusual"
# Details that count images of which the record shows some.
COUNTED_IMAGES = ("images with other objects", "flips")
# A case's pictures and their tables take about 4 kB, a thumbnail 2: with more of them a full matrix with its
# history would not stay below a megabyte.
MOST_PICTURES = 50
MOST_THUMBNAILS = 48
OUTCOMES = {"error": "stopped with an error", "failed": "failed", "skipped": "did not run"}


@dataclass(frozen=True)
class Why:
    """What explains one case. `headline` fits behind its name; `facts` are (term, sentence) pairs.

    `told` are (question and outcome, reason as it was recorded) of every answer with a reason, and the build's log.
    """

    case: CaseSummary
    anchor: str
    headline: str
    chart: Markup | None
    card: Markup | None
    changed: tuple[Changed, ...]
    tables: tuple[Table, ...]
    facts: tuple[tuple[str, str], ...]
    told: tuple[tuple[str, str], ...]


def explain(cases: Sequence[CaseSummary], recommended: Collection[str] = ()) -> dict[str, list[Why]]:
    """By model, every case of which something was tried.

    Every one has its picture, unless there are more than `MOST_PICTURES`: then those with something unusual come
    first, the `recommended` ones after them, and others while there is room.
    """
    attempted = [case for case in cases if case.attempted]
    explanations = [_why(case, f"why-{number}") for number, case in enumerate(attempted, start=1)]
    wanted = sorted(explanations, key=lambda each: (each.headline == USUAL, each.case.id not in recommended))
    drawn = {each.case.id for each in wanted[:MOST_PICTURES]}
    models: dict[str, list[Why]] = {}
    thumbnails = 0
    for explanation in explanations:
        shown = explanation
        if explanation.case.id in drawn:
            changed = changed_images(explanation.case)
            thumbnails += len(changed)
            if thumbnails > MOST_THUMBNAILS:
                changed = tuple(replace(image, picture="") for image in changed)
            case = explanation.case
            shown = replace(explanation, changed=changed, chart=chart(case), card=card(case), tables=tables(case))
        models.setdefault(explanation.case.model, []).append(shown)
    return models


def _why(case: CaseSummary, anchor: str) -> Why:
    facts = [
        ("Latency", _latency(case, [value for each in samples_by_process(case) for value in each.tolist()])),
        ("Processes", _processes(case)),
        ("Launches", launches_words(case)),
        ("Several callers", callers_words(case)),
        ("In the order of time", sentence(_order(case))),
        ("Warm-up and end", _ending(case)),
        ("Card", gpu_words(case)),
        ("Accuracy", _accuracy(case)),
        ("Layers", _layers(case)),
        ("Notes", _notes(case)),
        ("Cost", _cost(case)),
        ("Files", sentence(_files(case))),
    ]
    reasons = [(f"{name} {OUTCOMES.get(outcome, outcome)}", reason) for name, outcome, reason in case.reasons()]
    if log := _build_log(case):
        reasons.append(("The end of what the build wrote", log))
    return Why(
        case=case,
        anchor=anchor,
        headline=join_words(_headline(case), most=4) or USUAL,
        chart=None,
        card=None,
        changed=(),
        tables=(),
        facts=tuple((term, text) for term, text in facts if text),
        told=tuple(reasons),
    )


def _processes(case: CaseSummary) -> str:
    """The medians of the processes that timed a case, where there were several."""
    speed = case.speed
    medians = [each.p50_ms for each in speed.processes if each.p50_ms is not None]
    if len(medians) < 2 or case.latency is None:
        return ""
    # Records of 2026 took the mean, which is the same of two.
    counts = "median" if math.isclose(median(medians), case.latency.p50_ms, rel_tol=1e-6) else "mean"
    shown = [milliseconds(each) for each in medians]
    of_first = ["clocks and energy"] if speed.gpu else []
    of_first = ["samples", *of_first] if speed.samples_ms else of_first
    apart = f"timed in {len(shown)} processes, which had medians of {join_words(shown)}: their {counts} counts"
    return sentence(f"{apart}. {', '.join(of_first).capitalize()} are those of the first" if of_first else apart)


def _order(case: CaseSummary) -> str:
    """What the level did in the order of time, of each process that has samples."""
    texts = [movement(each).text for each in samples_by_process(case)]
    if len(texts) == 1:
        return texts[0]
    return "; ".join(f"process {number}: {text}" for number, text in enumerate(texts, start=1))


def _headline(case: CaseSummary) -> Iterator[str]:
    for stage, answer in case.answers.items():
        if answer.outcome != "passed":
            yield f"{stage} {OUTCOMES.get(answer.outcome, answer.outcome)}"
    if case.launch_bound:
        yield "bound by its launches"
    if at_power_limit(case):
        yield "at the card's power limit"
    yield from (each.words for each in caveats(case))


def _latency(case: CaseSummary, samples: Sequence[float]) -> str:
    """What the picture shows, for those who cannot see it."""
    latency = case.latency
    if latency is None:
        return ""
    parts = [f"half of the calls within {milliseconds(latency.p50_ms)}"]
    parts += [
        f"{percent} % within {milliseconds(value)}"
        for percent, value in ((90, latency.p90_ms), (99, latency.p99_ms))
        if value
    ]
    if samples:
        parts.append(f"the fastest {milliseconds(min(samples))}, the slowest {milliseconds(max(samples))}")
    if latency.p99_ms is None:
        parts.append("too few samples to state p99")
    return sentence("; ".join(parts))


def _ending(case: CaseSummary) -> str:
    """Warm-up and stop reason in words."""
    speed, latency = case.speed, case.latency
    if latency is None:
        return ""
    warmup, steady = speed.warmup_s, speed.steady
    ended = {True: " until two stretches of calls agreed", False: ", and two stretches of calls still did not agree"}
    parts = [] if warmup is None else [f"warmed up for {significant(warmup)} s{ended.get(steady is True, '')}"]
    if reason := speed.stop_reason:
        width = interval_width(latency)
        median_text = (
            ""
            if width is None
            else f" (the 95 % interval of the median was then {significant(100 * width, 2)} % of it)"
        )
        parts.append(f"{STOPPED.get(reason, reason)}{median_text}")
    return sentence("; ".join(parts))


def _accuracy(case: CaseSummary) -> str:
    """Which classes lost most, or how many answers flipped: the details that the judge recorded."""
    shown = len(changed_images(case))
    details = []
    for name, value in case.accuracy.details.items():
        some = f" ({shown} of them below)" if name in COUNTED_IMAGES and shown and value != shown else ""
        details.append(f"{name.replace('_', ' ')}: {value}{some}")
    return sentence("; ".join(details))


def _build_log(case: CaseSummary) -> str:
    return "\n".join(case.build.log_tail)


def _files(case: CaseSummary) -> str:
    """The hashes in full, of the engine that was timed and of the graph that it was built from."""
    hashes = {"engine": case.speed.engine_sha256 or case.build.engine_sha256, "graph": case.build.graph_sha256}
    return ", ".join(f"{name} sha256 {digest}" for name, digest in hashes.items() if digest)


def _layers(case: CaseSummary) -> str:
    return sentence(layers_text(case.build.layers) or "")


def _notes(case: CaseSummary) -> str:
    notes = list(case.build.notes)
    if known_bytes := case.build.known_timings_bytes:
        notes.append(
            f"Built with {known_bytes / 1e3:.0f} kB of tactic timings of earlier builds; a first build takes longer."
        )
    return " ".join(notes)


def _cost(case: CaseSummary) -> str:
    """Wall time by question, and how much of it was work."""
    total = case_seconds(case)
    work = [each for answer in case.answers.values() if (each := answer.result.work_seconds) is not None]
    each_s = {name: answer.seconds for name, answer in case.answers.items()}
    parts = []
    if total is not None:
        split = ", ".join(f"{name} {significant(seconds)} s" for name, seconds in each_s.items() if seconds is not None)
        parts.append(f"took {significant(total)} s ({split})")
    if work:
        parts.append(f"{significant(sum(work))} s were building, measuring and scoring")
    return sentence("; ".join(parts))
