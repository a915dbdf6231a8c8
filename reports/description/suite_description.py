"""What a session measured on which data, in words: a name alone would not say that the images were generated."""

import re
from collections.abc import Mapping
from typing import Any

from reports.record.session import SuitePart, read_suite
from reports.text.formatting import pluralize

# The name that a record gives the data which this project draws by itself.
GENERATED_DATA = "shapes"
GENERATED = "generated images"
# (what the suite calls the model, its name here, what the suite calls the data of its task)
PAIRS = (("yolo", "YOLO", "detection data"), ("clip", "CLIP", "zero-shot data"), ("tao", "TAO", "tao data"))
TAO_TASKS = ("tao-detection", "tao-classification")
WEIGHTS_OF = {"detection": "yolo", "zero-shot": "clip", **dict.fromkeys(TAO_TASKS, "tao")}
DATA_OF = {"detection": "detection data", "zero-shot": "zero-shot data", **dict.fromkeys(TAO_TASKS, "tao data")}


def about(suite: Mapping[str, Any]) -> str:
    """`YOLO: yolov8n.pt on 64 images of instances.json; CLIP: vit on 256 generated images`."""
    descriptions, parts = [], read_suite(suite)
    for model, shown, data in PAIRS:
        name = parts.get(model, SuitePart()).name
        images = _images(parts.get(data, SuitePart()))
        if name:
            descriptions.append(f"{shown}: {name}{f' on {images}' if images else ''}")
    return "; ".join(descriptions)


def generated(suite: Mapping[str, Any], task: str) -> bool:
    """Whether the models of this task were judged on images that this project drew."""
    return read_suite(suite).get(DATA_OF.get(task, ""), SuitePart()).name == GENERATED_DATA


def _images(data: SuitePart) -> str:
    name, count = data.name, data.evaluation_images
    if not name:
        return ""
    if name == GENERATED_DATA:
        return GENERATED if count is None else f"{count} {GENERATED}"
    of = re.sub(r" \(\d+ images\)$", "", name)
    return of if count is None else f"{pluralize(count, 'image')} of {of}"
