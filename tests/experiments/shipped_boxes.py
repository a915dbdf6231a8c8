"""Does Ultralytics predict from a shipped detector what the suite does? For an engine that no test can run here.

    python -m tests.experiments.shipped_boxes BUNDLE --yolo FILE.pt --images DIR

The suite runs the bare engine of the bundle on the images (at most --count, whole batches; the first ones again where
too few), Ultralytics `YOLO(…)` its own file. The exit status is 1 where a box of one has no box of the other of the
same class with an IoU above 0.99, or where there is no box at all.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.ops import box_iou

from fixtures.backends.base import Engine
from fixtures.models.detector import load_detector
from reports.bundle.format import Role
from reports.bundle.reading import OpenBundle, read_bundle

SCORE = 0.25
LEAST_IOU = 0.99
COUNT = 32
SUFFIXES = {".jpg", ".jpeg", ".png"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how many boxes both have, and the least IoU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--yolo", type=Path, required=True, help="the weights that the bundle was made from")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=COUNT)
    asked = parser.parse_args(arguments)
    bundle = read_bundle(asked.bundle)
    batch = bundle.bundle.case.batch
    paths = sorted(path for path in asked.images.iterdir() if path.suffix.lower() in SUFFIXES)[: asked.count]
    wanted = -(-max(asked.count, 1) // batch) * batch
    images = [np.asarray(Image.open(path).convert("RGB")) for path in islice(cycle(paths), wanted)]
    alike, worst, differing = compare(bundle, asked.yolo, images, batch)
    print(f"{len(paths)} images, batch {batch}: {alike} boxes alike, least IoU {worst:.4f}; images apart: {differing}")
    return 0 if alike and not differing else 1


def compare(bundle: OpenBundle, weights: Path, images: Sequence[np.ndarray], batch: int) -> tuple[int, float, int]:
    """How many boxes are alike, the least IoU of a pair of the same class, and how many images differ in a box."""
    import ultralytics

    path = bundle.path(Role.ULTRALYTICS)
    assert path is not None, "the bundle has no file for Ultralytics"
    model, engine = load_detector(weights, "detector"), open_engine(bundle.path(Role.PLAN) or bundle.engine)
    yolo = ultralytics.YOLO(str(path), task="detect")
    alike, worst, differing = 0, 1.0, 0
    for start in range(0, len(images), batch):
        some = list(images[start : start + batch])
        inputs = model.prepare(some).to("cuda" if torch.cuda.is_available() else "cpu")
        ours = model.detections(engine(inputs).cpu(), [image.shape[:2] for image in some])
        blue_first = [np.ascontiguousarray(image[..., ::-1]) for image in some]
        theirs = yolo.predict(blue_first, conf=SCORE, iou=0.7, batch=batch, verbose=False, save=False)
        for own, result in zip(ours, theirs, strict=True):
            own_boxes, their_boxes = torch.from_numpy(own[own[:, 4] >= SCORE]), result.boxes.data.cpu()
            least = least_overlap(own_boxes, their_boxes)
            alike += len(own_boxes) if least > LEAST_IOU else 0
            worst, differing = min(worst, least), differing + (least <= LEAST_IOU)
    return alike, worst, differing


def open_engine(path: Path) -> Engine:
    """The bare engine of a bundle, by what its file is."""
    if path.suffix == ".onnx":
        from fixtures.backends.onnxrt.cpu import OrtEngine, open_session

        return OrtEngine(open_session(path))
    from fixtures.backends.trt.runtime import TrtEngine

    return TrtEngine.open(path)


def least_overlap(own: torch.Tensor, theirs: torch.Tensor) -> float:
    """The least IoU of a box with its partner of the same class, in [x1, y1, x2, y2, score, class]; 0 without one."""
    if len(own) != len(theirs):
        return 0.0
    if not len(own):
        return 1.0
    overlaps = box_iou(own[:, :4], theirs[:, :4]) * (own[:, None, 5] == theirs[None, :, 5])
    best = overlaps.max(dim=1)
    return float(best.values.min()) if len(set(best.indices.tolist())) == len(own) else 0.0


if __name__ == "__main__":
    sys.exit(main())
