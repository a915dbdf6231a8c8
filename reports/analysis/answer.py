"""The answer of a session in a sentence a model: what to ship, what it gives, and how certain its accuracy is.

Two questions are told apart, as MLPerf does with its scenarios "Offline" and "SingleStream": *throughput* is the batch
size that gives the most images a second, *latency* is one image at a time (batch 1). Page, terminal and job summary
all take their first lines from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.analysis import pipeline
from reports.analysis.cases import CaseSummary, summarize, tolerance
from reports.analysis.certainty import BASELINE, CERTAIN, FAILS, LIKELY, NOT_JUDGED
from reports.analysis.phrases import SUSTAINED
from reports.analysis.recommendation import TIE, Recommendation, choose
from reports.analysis.timing_quality import at_power_limit, gpu_contended, unreliable
from reports.record.pipeline import PipelineSummary
from reports.record.results import Metric
from reports.record.schema import Row
from reports.record.serving import ServingSummary
from reports.record.store import last_session
from reports.text.formatting import join_words, milliseconds, percent, pluralize, significant, times
from reports.text.names import model_name, unit

THROUGHPUT, LATENCY = "throughput", "latency"
LATENCY_BATCH = 1


@dataclass(frozen=True)
class ModeAnswer:
    """The answer for one model in one mode.

    `ship` are the cases to choose from, several for a tie, none where nothing can be recommended. `shown` is the case
    whose figures are told: the first to ship, else the fastest that was measured. `accuracy` is one of `CERTAIN`,
    `LIKELY`, `FAILS`, `NOT_JUDGED` and `BASELINE`, the least certain of those to ship, and `judged` the metric that
    decides it.
    """

    batch: int
    choice: Recommendation
    ship: tuple[CaseSummary, ...]
    shown: CaseSummary
    runner_up: CaseSummary | None
    baseline: CaseSummary | None
    accuracy: str
    judged: Metric | None

    @property
    def engine(self) -> str:
        """The name of what to ship, several with `or`; of `shown` where there is nothing to ship."""
        return " or ".join(case.name for case in self.ship or (self.shown,))

    @property
    def rough(self) -> bool:
        """Whether the time of what is told was not steady, or not its own."""
        return any(unreliable(case) or gpu_contended(case) for case in self.ship or (self.shown,))

    @property
    def at_power_limit(self) -> bool:
        """Whether what is told was measured at the card's power limit, which bounds it the next time, too."""
        return any(map(at_power_limit, self.ship or (self.shown,)))

    @property
    def rough_speedup(self) -> bool:
        """Whether the time that the speed-up is over was not."""
        return self.baseline is not None and (unreliable(self.baseline) or gpu_contended(self.baseline))

    @property
    def image_ms(self) -> float | None:
        """Milliseconds an image, for one caller."""
        latency = self.shown.effective_latency
        return None if latency is None else latency.p50_ms / self.batch

    @property
    def contestants(self) -> tuple[CaseSummary, ...]:
        """What is told, the runner-up and the baseline, each once, the fastest first."""
        by_id = {case.id: case for case in (self.shown, self.runner_up, self.baseline) if case}
        return tuple(sorted(by_id.values(), key=lambda case: -(case.images_per_second or 0.0)))


@dataclass(frozen=True)
class ModelAnswer:
    """The answer for one model. `latency` is None where no batch of one image was timed; `choices` has all batches."""

    model: str
    throughput: ModeAnswer
    latency: ModeAnswer | None
    choices: tuple[Recommendation, ...]
    sentence: str

    @property
    def same_batch(self) -> bool:
        """Whether one image at a time is also what gives the most images a second."""
        return self.latency is not None and self.latency.batch == self.throughput.batch


@dataclass(frozen=True)
class Status:
    """How the cases and pipelines of a session ended, in numbers. `judged` counts engines that have a gate.

    Of a pipeline `pipelines_judged` are those whose answers were judged, and `pipelines_errors` those that crashed.
    """

    ran: int
    judged: int
    gate_failed: int
    untrusted: int
    crashed: int
    worse: int
    rough: int
    likely: int
    finished: bool
    pipelines: int = 0
    pipelines_judged: int = 0
    pipelines_failed: int = 0
    pipelines_errors: int = 0
    serving: int = 0
    serving_failed: int = 0
    serving_errors: int = 0

    @property
    def words(self) -> tuple[str, ...]:
        """What broke, in a few words each; one line that nothing did where nothing did."""
        phrases = [
            "" if self.finished else "the run did not finish",
            f"{self.gate_failed} failed the gate" if self.gate_failed else "",
            f"{self.untrusted} cannot be trusted" if self.untrusted else "",
            f"{self.crashed} crashed" if self.crashed else "",
            f"{pluralize(self.pipelines_failed, 'pipeline')} failed" if self.pipelines_failed else "",
            f"{pluralize(self.pipelines_errors, 'pipeline')} crashed" if self.pipelines_errors else "",
            f"{pluralize(self.serving_failed, 'served model')} failed" if self.serving_failed else "",
            f"{pluralize(self.serving_errors, 'served model')} crashed" if self.serving_errors else "",
            f"{self.worse} became worse" if self.worse else "",
        ]
        return tuple(filter(None, phrases))

    @property
    def all_well(self) -> str:
        """The one good line; of a run that measured nothing, that it did not."""
        if not self.measured:
            return "Nothing was measured"
        counted = [pluralize(self.ran, "case")] if self.ran else []
        counted += [pluralize(self.pipelines, "pipeline")] if self.pipelines else []
        counted += [pluralize(self.serving, "served model")] if self.serving else []
        judged = self.judged or self.pipelines_judged or self.serving
        return f"All {join_words(counted)} passed" if judged else f"{join_words(counted)} measured"

    @property
    def measured(self) -> bool:
        """Whether anything was tried at all."""
        return bool(self.ran or self.pipelines or self.serving)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is not certain, in a few words each."""
        phrases = [
            f"{pluralize(self.rough, 'timing')} rough" if self.rough else "",
            f"{self.likely} {'accuracy' if self.likely == 1 else 'accuracies'} likely" if self.likely else "",
        ]
        return tuple(filter(None, phrases))


def answers(rows: Sequence[Row]) -> list[ModelAnswer]:
    """One answer a model that was timed, in the order of the table."""
    session = last_session(list(rows))
    cases, least = summarize(session), 1 - tolerance(session)
    return model_answers(cases, choose(cases, least), least)


def model_answers(cases: Sequence[CaseSummary], choices: Sequence[Recommendation], least: float) -> list[ModelAnswer]:
    """The same of cases and their recommendations, where these are known."""
    per_model = []
    for model in dict.fromkeys(choice.model for choice in choices):
        recommendations = tuple(choice for choice in choices if choice.model == model)
        modes = [_mode(choice, cases, least) for choice in recommendations]
        throughput = _best(modes)
        latency = next((mode for mode in modes if mode.batch == LATENCY_BATCH), None)
        sentence = _sentence(model, throughput, latency, least)
        per_model.append(ModelAnswer(model, throughput, latency, recommendations, sentence))
    return per_model


def status(
    cases: Sequence[CaseSummary],
    least: float,
    worse: int,
    finished: bool,
    pipelines: Sequence[PipelineSummary] = (),
    serving: Sequence[ServingSummary] = (),
) -> Status:
    """`worse` is how much a history confirms to have become worse; `finished` whether the record has its end."""
    ran = [case for case in cases if case.attempted]
    tried = [each for each in pipelines if each.attempted]
    served = [each for each in serving if each.attempted]
    return Status(
        ran=len(ran),
        judged=sum(case.gate in ("pass", "fail") for case in ran),
        gate_failed=sum(case.gate == "fail" for case in ran),
        untrusted=sum(case.gate != "fail" and (bool(case.problems) or bool(case.failed_stages)) for case in ran),
        crashed=sum(case.status == "error" for case in ran),
        worse=worse,
        rough=sum(unreliable(case) for case in ran if case.latency)
        + sum(pipeline.rough(each.speed) for each in tried if each.speed),
        likely=sum(accuracy_mark(case, least) == LIKELY for case in ran)
        + sum(pipeline.accuracy_mark(each) == LIKELY for each in tried),
        finished=finished,
        pipelines=len(tried),
        pipelines_judged=sum(each.accuracy is not None for each in tried),
        pipelines_failed=sum(each.failed for each in tried),
        pipelines_errors=sum(each.crashed for each in tried),
        serving=len(served),
        serving_failed=sum(each.failed for each in served),
        serving_errors=sum(each.crashed for each in served),
    )


def accuracy_mark(case: CaseSummary, least: float) -> str:
    """How certain it is that this case keeps `least` of the baseline's accuracy, in a word."""
    if case.gate == "fail" or not case.consistent:
        return FAILS
    if case.is_baseline:
        return BASELINE
    if case.gate != "pass":
        return NOT_JUDGED
    return LIKELY if case.uncertain(least) else CERTAIN


def as_data(per_model: Sequence[ModelAnswer]) -> list[dict[str, Any]]:
    """The answers as plain data, for `report.json`."""
    return [
        {
            "model": answer.model,
            "sentence": answer.sentence,
            THROUGHPUT: _mode_data(answer.throughput),
            LATENCY: None if answer.latency is None else _mode_data(answer.latency),
        }
        for answer in per_model
    ]


def pipelines_as_data(compared: Sequence[pipeline.Comparison]) -> list[dict[str, Any]]:
    """What the pipelines answer for each set of photos as plain data, for `report.json`."""
    return [
        {
            "photo_set": each.photo_set,
            "sentence": each.sentence,
            "pipeline_id": each.best.name.id if each.best else None,
            "photos_per_second": each.best.speed.photos_per_second if each.best and each.best.speed else None,
            "speedup": each.speedup,
            "accuracy": each.accuracy,
            "claim": each.claim,
        }
        for each in compared
    ]


def _mode_data(mode: ModeAnswer) -> Mapping[str, Any]:
    return {
        "batch": mode.batch,
        "case_ids": [case.id for case in mode.ship],
        "images_per_second": mode.shown.images_per_second,
        "ms_per_image": mode.image_ms,
        "speedup": mode.shown.speedup.value if mode.shown.speedup else None,
        "accuracy": mode.accuracy,
        "rough": mode.rough,
    }


def _mode(choice: Recommendation, cases: Sequence[CaseSummary], least: float) -> ModeAnswer:
    timed = sorted(
        (case for case in cases if (case.model, case.batch) == (choice.model, choice.batch) and case.latency),
        key=lambda case: case.effective_latency.p50_ms if case.effective_latency else 0.0,
    )
    ship = tuple(case for case in timed if case.id in choice.case_ids)
    engines = [case for case in timed if not case.is_baseline] or timed
    shown = next(iter(ship), None) or next((case for case in engines if case.consistent), engines[0])
    order = (FAILS, NOT_JUDGED, LIKELY, CERTAIN, BASELINE)
    marks = {case.id: accuracy_mark(case, least) for case in ship or (shown,)}
    least_certain = min(ship or (shown,), key=lambda case: order.index(marks[case.id]))
    return ModeAnswer(
        batch=choice.batch,
        choice=choice,
        ship=ship,
        shown=shown,
        runner_up=next((case for case in timed if case.id == choice.runner_up_id), None),
        baseline=next((case for case in timed if case.is_baseline), None),
        accuracy=marks[least_certain.id],
        judged=None if least_certain.is_baseline else least_certain.uncertain(least) or least_certain.metric,
    )


def _best(modes: Sequence[ModeAnswer]) -> ModeAnswer:
    """The batch with the most images a second; of batches that lie as close as two runs may, the smallest."""
    able = [mode for mode in modes if mode.ship] or list(modes)
    most = max(mode.shown.images_per_second or 0.0 for mode in able)
    near = [mode for mode in able if (mode.shown.images_per_second or 0.0) * TIE >= most]
    return min(near, key=lambda mode: mode.batch)


def _kept_words(case: CaseSummary, least: float) -> str:
    """`keeps 100.4 % of its mAP50-95`; empty where no ratio is known, and for the baseline, which keeps what it has."""
    metric = case.metric
    if case.is_baseline or metric is None or metric.ratio is None:
        return ""
    return f"keeps {percent(metric.ratio.value, least)} of its {metric.name}"


def _sentence(model: str, throughput: ModeAnswer, latency: ModeAnswer | None, least: float) -> str:
    """One sentence that a person could forward."""
    sentence = f"{model_name(model)}: {_advice(throughput, least)}"
    if latency is None or latency.batch == throughput.batch:
        return f"{sentence}."
    alone = "" if latency.image_ms is None else f", {milliseconds(latency.image_ms)}"
    same = bool(latency.ship) and {case.name for case in latency.ship} == {case.name for case in throughput.ship}
    engine = "the same" if same else latency.engine if latency.ship else "no recommendation"
    return f"{sentence}; for one image at a time {engine}{alone if latency.ship else ''}."


def _advice(mode: ModeAnswer, least: float) -> str:
    shown = mode.shown
    speed = f"{significant(shown.images_per_second)} {unit(shown.model)} at batch {mode.batch}"
    kept = _kept_words(shown, least)
    if not mode.ship:
        why = {FAILS: "nothing passes", NOT_JUDGED: "accuracy was not judged"}.get(mode.accuracy, "nothing to compare")
        measured = ", ".join(filter(None, [f"{shown.name}: {speed}", kept]))
        return f"no recommendation, {why}; measured {measured}"
    if shown.is_baseline and len(mode.ship) == 1:
        return f"nothing that passes is faster than {shown.name} itself: {speed}"
    faster = []
    if shown.speedup and mode.baseline:
        faster.append(f"{times(shown.speedup.value)} as fast as {mode.baseline.name}")
    doubts = []
    if mode.rough:
        doubts.append("its timing is rough, run it again")
    elif mode.rough_speedup:
        doubts.append("the speed-up is rough")
    if mode.at_power_limit:
        doubts.append(SUSTAINED)
    if mode.accuracy == LIKELY:
        doubts.append("more images would make the accuracy certain")
    tie = " (equally fast)" if len(mode.ship) > 1 else ""
    figures = ", ".join(filter(None, [speed, *faster, kept]))
    return f"ship {mode.engine}{tie}: {figures}" + (f"; {join_words(doubts)}" if doubts else "")
