"""Artifact → engine → score: networks with TAO's interfaces, through the options, the cache, ONNX Runtime and the gate.

What an engine scores is held against the network's PyTorch twin, which never was a graph.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import torch

from fixtures import ROOT
from fixtures.accuracy.coco_map import evaluate
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.pytest_plugin.run_plan import RunPlan
from fixtures.runner.factory import open_workbench
from fixtures.runner.stage_result import StageResult
from fixtures.runner.stages import CaseRunner
from fixtures.runner.workbench import Workbench
from fixtures.timing.sampler import SamplerSettings
from tests.helpers.runs import raw_options
from tests.helpers.tao_networks import Made, classification, detectnet_v2, scenes_as_coco, scenes_by_class, yolo_v4

# What an engine has to keep of the twin's score.
KEPT = 0.98


class Run:
    """A run of `made` on this data, without a page: its cases can be asked."""

    def __init__(self, made: Made, folder: Path, **data: str) -> None:
        raw = raw_options(
            suite="auto", device="cpu", engine_cache=str(folder / "engines"), tao=str(made.description), **data
        )
        self.plan = RunPlan.make(Options.from_values(raw, ROOT), ROOT)
        self.workbench: Workbench = open_workbench(self.plan.options, self.plan.suite, lambda _: None)
        self._runner = CaseRunner(self.workbench, SamplerSettings.within(0.1), self.plan.options.tolerance)
        self.name, self.task = made.description.stem, self.plan.suite.tao_task

    def ask(self, backend: str, precision: str, stage: str) -> StageResult:
        return self._runner.ask(Case(self.name, self.task, backend, precision, 1), stage)

    def score(self, backend: str, precision: str, metric: str) -> float:
        """What the engine scored. It passed its gate, against the module made of its graph."""
        answer = self.ask(backend, precision, "accuracy")
        assert not answer.failure
        (scores,) = [each for each in answer.values["metrics"] if each["name"] == metric]
        return float(scores["value"])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Run]:
    folder = tmp_path_factory.mktemp("classifier")
    made = classification(folder)
    return made, Run(made, folder, scenes=str(scenes_by_class(folder / "scenes")))


def test_a_classifier_scores_as_its_pytorch_twin(classifier: tuple[Made, Run]) -> None:
    made, run = classifier
    network, data = run.workbench.sources.tao, run.workbench.sources.tao_data
    with torch.no_grad():
        answers = made.twin(network.prepare(list(data.evaluation))).argmax(dim=1).tolist()
    right = sum(answer == label for answer, label in zip(answers, data.labels, strict=True)) / len(answers)
    assert right > 0.8
    kept = run.score("onnxruntime", "fp32", "classification top-1") / right
    print(f"classification: top-1 {kept:.4f} of the twin's {right:.4f}")
    assert kept >= KEPT


def test_its_graph_is_quantised_and_judged_as_every_graph_is(classifier: tuple[Made, Run]) -> None:
    answer = classifier[1].ask("onnxruntime", "int8", "accuracy")
    assert {each["name"] for each in answer.values["metrics"]} == {"classification agreement", "classification top-1"}
    assert all(each["ratio"] > 0.9 for each in answer.values["metrics"])


def test_the_row_says_that_no_artifact_of_nvidia_was_seen(classifier: tuple[Made, Run]) -> None:
    built = classifier[1].ask("onnxruntime", "fp32", "build")
    assert any("no artifact of NVIDIA's was seen" in note for note in built.values["notes"])
    assert not built.failure and built.values["layers"] == {"fp32": built.values["layers"]["fp32"]}


def test_engines_are_timed(classifier: tuple[Made, Run]) -> None:
    assert classifier[1].ask("onnxruntime", "fp32", "speed").values["images_per_second"] > 0


def twins_map(made: Made, run: Run) -> float:
    """mAP50-95 of the PyTorch network on the run's images, decoded as the artifact is."""
    network, data = run.workbench.sources.tao, run.workbench.sources.tao_data
    scores = {}
    for number in data.evaluation.ids:
        image = data.evaluation.load(number)
        with torch.no_grad():
            one, other = made.twin(network.prepare([image]))
        on_grid = one.shape[2:] == other.shape[2:]
        joined = torch.cat([one, other], dim=1) if on_grid else torch.cat([one[:, :, 0], other], dim=2)
        (scores[number],) = network.detections(joined, [image.shape[:2]])
    return evaluate(data.annotations, data.category_ids, scores).map50_95


@dataclass(frozen=True)
class Detector:
    """A run of a TAO detector, and what the network's PyTorch twin scores."""

    made: Made
    run: Run
    own: float


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return scenes_as_coco(tmp_path_factory.mktemp("coco"))


def detector(make: Callable[[Path], Made], coco: tuple[Path, Path], folder: Path) -> Detector:
    made = make(folder)
    run = Run(made, folder, coco_images=str(coco[0]), coco_annotations=str(coco[1]))
    return Detector(made, run, twins_map(made, run))


@pytest.fixture(scope="module")
def of_detectnet_v2(coco: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return detector(detectnet_v2, coco, tmp_path_factory.mktemp("detectnet"))


@pytest.fixture(scope="module")
def of_yolo_v4(coco: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return detector(yolo_v4, coco, tmp_path_factory.mktemp("yolo"))


@pytest.mark.parametrize(("name", "least"), [("of_detectnet_v2", 0.25), ("of_yolo_v4", 0.5)])
def test_a_detector_scores_as_its_pytorch_twin(name: str, least: float, request: pytest.FixtureRequest) -> None:
    found: Detector = request.getfixturevalue(name)
    assert found.own > least
    kept = found.run.score("onnxruntime", "fp32", "mAP50-95") / found.own
    print(f"{name}: mAP50-95 {kept:.4f} of the twin's {found.own:.4f}")
    assert kept >= KEPT
    # The graph in FP16, which the CPU's provider computes in FP32 behind casts: rounded, and not wrong.
    assert found.run.score("onnxruntime", "fp16", "mAP50-95") / found.own >= KEPT


@pytest.mark.parametrize("changed", [{"box_offset": 8.0}, {"box_scale": 30.0}])
def test_a_description_that_is_wrong_and_fits_scores_less(
    changed: dict[str, float], of_detectnet_v2: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = of_detectnet_v2.run.workbench.sources.tao
    monkeypatch.setattr(network, "described", msgspec.structs.replace(network.described, **changed))
    assert twins_map(of_detectnet_v2.made, of_detectnet_v2.run) < 0.9 * of_detectnet_v2.own
