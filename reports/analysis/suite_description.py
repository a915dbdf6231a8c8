"""What a session measured on which data, in words: a name alone would not say that the images were generated."""

import re
from collections.abc import Mapping
from typing import Any

from reports.record.results import is_number
from reports.text.formatting import pluralize

# The name that a record gives the data which this project draws by itself.
GENERATED_DATA = "shapes"
GENERATED = "generated images"
# (what the suite calls the model, its name here, what the suite calls the data of its task)
PAIRS = (("yolo", "YOLO", "detection data"), ("clip", "CLIP", "zero-shot data"))
DATA_OF = {"detection": "detection data", "zero-shot": "zero-shot data"}


def about(suite: Mapping[str, Any]) -> str:
    """`YOLO: yolov8n.pt on 64 images of instances.json; CLIP: vit on 256 generated images`."""
    said = []
    for model, shown, data in PAIRS:
        name = _mapping(suite.get(model)).get("name")
        images = _images(_mapping(suite.get(data)))
        if name:
            said.append(f"{shown}: {name}{f' on {images}' if images else ''}")
    return "; ".join(said)


def generated(suite: Mapping[str, Any], task: str) -> bool:
    """Whether the models of this task were judged on images that this project drew."""
    return _mapping(suite.get(DATA_OF.get(task, ""))).get("name") == GENERATED_DATA


def _images(data: Mapping[str, Any]) -> str:
    name, count = str(data.get("name") or ""), data.get("evaluation_images")
    count = count if is_number(count) else None
    if not name:
        return ""
    if name == GENERATED_DATA:
        return GENERATED if count is None else f"{int(count)} {GENERATED}"
    of = re.sub(r" \(\d+ images\)$", "", name)
    return of if count is None else f"{pluralize(int(count), 'image')} of {of}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
