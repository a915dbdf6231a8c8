"""Who is judged against whom: the engine's predictions against the baseline's, each file once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from fixtures.cache.shared_results import SessionResults
from fixtures.plan.matrix import Case
from fixtures.runner.evaluation import Evaluation


class Multiplies:
    """An engine."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.factor * inputs

    def synchronize(self) -> None:
        """Nothing is queued."""


class Judging:
    """An evaluator whose predictions are one number, and whose judgement is its two arguments."""

    def predict(self, run: Any, batch: int) -> float:
        return float(run(torch.ones(batch))[0])

    def judge(self, predictions: float, baseline: float) -> tuple[float, float]:
        return predictions, baseline


def loaded(case: Case) -> Any:
    """The baseline answers 1, every other engine 3."""
    engine = Multiplies(1.0 if (case.backend, case.precision) == ("pytorch", "fp32") else 3.0)
    artifact = SimpleNamespace(path=Path(case.backend))
    return SimpleNamespace(case=case, model=None, engine=engine, artifact=artifact, dynamic_batch=True)


def evaluation(load: Any = loaded) -> Evaluation:
    sources: Any = SimpleNamespace(require_judgement=lambda _: None)
    made = Evaluation(sources, SimpleNamespace(), "cpu", load, SessionResults(), lambda _: None)  # type: ignore[arg-type]
    made._evaluators["m"] = Judging()  # type: ignore[assignment]
    return made


def test_an_engine_is_judged_against_the_baseline_and_not_the_other_way_round() -> None:
    report: Any = evaluation().judge(loaded(Case("m", "detection", "onnxruntime", "int8", 1)))
    assert report == (3.0, 1.0)


def test_the_baseline_is_loaded_and_scored_once_and_each_file_judged_once() -> None:
    asked: list[Case] = []

    def load(case: Case) -> Any:
        asked.append(case)
        return loaded(case)

    made = evaluation(load)
    one, other = (loaded(Case("m", "detection", backend, "fp16", 1)) for backend in ("onnxruntime", "tensorrt"))
    assert made.judge(one) is made.judge(one)
    made.judge(other)
    assert [(case.backend, case.precision) for case in asked] == [("pytorch", "fp32")]
