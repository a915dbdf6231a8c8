"""What becomes of many data sets, each with one peculiarity: the validated data, scored by PyTorch FP32.

    python -m tests.experiments.data_cases SETS --yolo FILE.pt --clip DIR

SETS holds a folder for each set, with images/ and a.json. Prints a line a set: mAP50-95 of the detector and zero-shot
top-1 of CLIP as a run would score them, what was counted, or the sentence with which it is refused. One process, and
each picture is looked at once, so that hundreds of sets take a minute.
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from fixtures.accuracy.evaluators import DetectionEvaluator
from fixtures.accuracy.plausibility import implausible_map
from fixtures.accuracy.zero_shot import Embeddings, count_right
from fixtures.assets.loader import SuiteAssets
from fixtures.errors import BenchError, NotEnoughDataError
from fixtures.models.base import Model
from fixtures.models.detector import Detector
from fixtures.plan.suite import Suite

AnyModel = TypeVar("AnyModel", bound=Model)


class Answers(Generic[AnyModel]):
    """The raw outputs of a model by the content of its input: sets share their pictures."""

    def __init__(self, model: AnyModel) -> None:
        self.model = model
        self._module: Any = model.module()
        self._known: dict[str, torch.Tensor] = {}

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """[n, …] → the outputs [n, …]."""
        return torch.cat([self._one(row[None]) for row in inputs])

    def _one(self, row: torch.Tensor) -> torch.Tensor:
        key = hashlib.sha256(row.numpy().tobytes()).hexdigest()
        if key not in self._known:
            with torch.inference_mode():
                self._known[key] = self._module(row)
        return self._known[key]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--yolo", required=True)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--only", default="", help="comma-separated names")
    asked = parser.parse_args(arguments)
    first = SuiteAssets(Suite("real", "", yolo=asked.yolo, clip=asked.clip))
    detector, clip = Answers(first.yolo), [Answers(first.model(name)) for name in ("clip-image", "clip-text")]
    for folder in sorted(path for path in asked.sets.iterdir() if (path / "a.json").is_file()):
        if asked.only and folder.name not in asked.only.split(","):
            continue
        suite = Suite(
            "real",
            "",
            yolo=asked.yolo,
            clip=asked.clip,
            coco_images=str(folder / "images"),
            coco_annotations=str(folder / "a.json"),
            calibration_images=str(folder / "cal") if (folder / "cal").is_dir() else "",
        )
        print(f"| `{folder.name}` | {described(SuiteAssets(suite), detector, clip)} |", flush=True)


def described(assets: SuiteAssets, detector: Answers[Detector], clip: list[Answers[Model]]) -> str:
    """One set in words."""
    assets.__dict__["yolo"] = detector.model
    assets.__dict__["_clip"] = tuple(each.model for each in clip)
    parts = []
    scores: dict[str, Callable[[], str]] = {
        "mAP": lambda: _map(assets, detector),
        "top-1": lambda: _top1(assets, clip),
    }
    for what, score in scores.items():
        try:
            parts.append(f"{what} {score()}")
        except BenchError as error:
            parts.append(f"{what}: refused: {error.what}")
    for name, model in (("INT8 detector", detector.model), ("INT8 CLIP image", clip[0].model)):
        try:
            assets.calibration_items(model)
        except NotEnoughDataError as error:
            parts.append(f"{name} not run: {error.what}")
        except BenchError as error:
            parts.append(f"{name} refused: {error.what}")
    # The same sentence for two models is said once.
    said = "; ".join(dict.fromkeys(part.removeprefix("top-1: ").removeprefix("mAP: ") for part in parts))
    notices = assets.describe(("clip-image", Path(assets.suite.yolo).stem))["notices"]
    counted = "; ".join(f"{each['code']} {each['count']}" for each in notices)
    return said + (f"; counted: {counted}" if counted else "")


def _map(assets: SuiteAssets, detector: Answers[Detector]) -> str:
    evaluator = DetectionEvaluator(detector.model, assets.detection)
    score = evaluator.predict(detector, 4)
    fault = implausible_map(score.map50_95, None)
    return f"{score.map50_95:.4f} on {len(assets.detection.evaluation)} images" + (
        f" (FAILS: {fault})" if fault else ""
    )


def _top1(assets: SuiteAssets, clip: list[Answers[Model]]) -> str:
    data = assets.zero_shot
    image, text = clip
    assets.require_judgement(image.model)
    embeddings = Embeddings(
        np.concatenate([image(image.model.prepare([picture])).numpy() for picture in data.evaluation]),
        text(text.model.prepare(data.prompts)).numpy(),
    )
    right = count_right(embeddings, data.labels)
    return f"{right / len(data.labels):.4f} on {len(data.labels)} crops"


if __name__ == "__main__":
    main()
