"""One data set in COCO's format and in Ultralytics': the same boxes, the same mAP to four decimals.

    python -m tests.experiments.yolo_copy --yolo FILE.pt --coco-images DIR --coco-annotations FILE.json

Writes the COCO set as data.yaml with label files, then scores PyTorch FP32 on all images of both. Crowd regions have no
place in label files: where the set has some, the COCO file is scored without them as well.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from fixtures.accuracy.evaluators import DetectionEvaluator
from fixtures.datasets.coco import Split, detection_set, split_in_halves
from fixtures.datasets.validation.annotations import AnnotatedImages
from fixtures.datasets.validation.coco import validate_coco
from fixtures.datasets.validation.yolo import read_data_yaml, validate_yolo
from fixtures.models.detector import Detector, load_detector
from tests.experiments.data_cases import Answers


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yolo", type=Path, required=True)
    parser.add_argument("--coco-images", type=Path, required=True)
    parser.add_argument("--coco-annotations", type=Path, required=True)
    asked = parser.parse_args(arguments)
    model = load_detector(asked.yolo, "detector")
    answers = Answers(model)
    coco = validate_coco(asked.coco_annotations, asked.coco_images)
    with tempfile.TemporaryDirectory() as scratch:
        copied = validate_yolo(read_data_yaml(write_copy(coco, Path(scratch))), "val")
        crowds = sum(box.is_crowd for box in coco.boxes)
        plain = replace(coco, boxes=tuple(box for box in coco.boxes if not box.is_crowd))
        for name, data in (("COCO", coco), (f"COCO without its {crowds} crowds", plain), ("data.yaml", copied)):
            print(f"{name}: mAP50-95 {_map(data, model, answers):.6f} on {len(data.images)} images", flush=True)
            print(json.dumps([notice.to_dict() for notice in data.notices]))


def write_copy(data: AnnotatedImages, folder: Path) -> Path:
    """The set in Ultralytics' layout; its data.yaml."""
    (folder / "images/val").mkdir(parents=True)
    (folder / "labels/val").mkdir(parents=True)
    place = {category.id: index for index, category in enumerate(data.categories)}
    for image in data.images:
        (folder / "images/val" / image.name).symlink_to(image.path.resolve())
        lines = []
        for box in data.boxes:
            if box.image_id == image.id and not box.is_crowd:
                x, y, w, h = box.bbox
                numbers = ((x + w / 2) / image.width, (y + h / 2) / image.height, w / image.width, h / image.height)
                lines.append(" ".join([str(place[box.category_id]), *(f"{number:.6f}" for number in numbers)]))
        (folder / "labels/val" / image.name).with_suffix(".txt").write_text("\n".join(lines))
    file = folder / "data.yaml"
    names = [category.name for category in data.categories]
    file.write_text(yaml.safe_dump({"path": str(folder), "val": "images/val", "names": names}))
    return file


def _map(data: AnnotatedImages, model: Detector, answers: Answers[Detector]) -> float:
    halves = split_in_halves(data)
    everything = Split(data.name, data, halves.calibration, data)
    evaluator = DetectionEvaluator(model, detection_set(everything, model.class_names()))
    return evaluator.predict(answers, 8).map50_95


if __name__ == "__main__":
    main()
