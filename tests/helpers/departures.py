"""A small COCO data set, and the ways in which people's files depart from it: one function a kind."""

# Every kind is called alike, with the file and a source of chance, and few need both.
# ruff: noqa: ARG001, ARG005
import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fixtures.datasets.validation.annotations import AnnotatedImages
from fixtures.errors import BenchError

Coco = dict[str, Any]
CLASSES = ("person", "traffic light", "dog", "cup")
SIZES = [(120, 160), (160, 120), (96, 200), (150, 150), (110, 130)]
IMAGES, BOXES = 10, 6
# What a scorer sees: picture, class, rectangle, crowd.
Seen = set[tuple[str, str, tuple[float, ...], bool]]


def base() -> Coco:
    """Ten images with six boxes each, all within their image."""
    chance = np.random.default_rng(1)
    coco: Coco = {"images": [], "annotations": [], "categories": []}
    for index, name in enumerate(CLASSES):
        coco["categories"].append({"id": index + 1, "name": name})
    for index in range(IMAGES):
        height, width = SIZES[index % len(SIZES)]
        coco["images"].append({"id": 10 + index, "file_name": f"{index:04d}.png", "width": width, "height": height})
        for _ in range(BOXES):
            w, h = chance.uniform(8, 0.6 * width), chance.uniform(8, 0.6 * height)
            x, y = chance.uniform(0, width - w), chance.uniform(0, height - h)
            number = len(coco["annotations"]) + 1
            coco["annotations"].append(
                {
                    "id": number,
                    "image_id": 10 + index,
                    "category_id": 1 + number % len(CLASSES),
                    "bbox": [round(float(value), 2) for value in (x, y, w, h)],
                    "area": round(float(w * h), 2),
                    "iscrowd": int(number % 17 == 0),
                }
            )
    return coco


def picture(height: int, width: int, number: int) -> bytes:
    """A PNG file, each of another content."""
    coded: bytes = cv2.imencode(".png", np.full((height, width, 3), number, np.uint8))[1].tobytes()
    return coded


PICTURES = {
    image["file_name"]: picture(image["height"], image["width"], index) for index, image in enumerate(base()["images"])
}


def write(folder: Path, coco: Any, pictures: dict[str, bytes] | None = None) -> tuple[Path, Path]:
    """Annotation file and folder of pictures, as `validate_coco` takes them. `coco` may be bytes of any kind."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, content in (PICTURES if pictures is None else pictures).items():
        (images / name).write_bytes(content)
    file = folder / "a.json"
    file.write_bytes(coco if isinstance(coco, bytes) else json.dumps(coco).encode())
    return file, images


def seen(data: AnnotatedImages) -> Seen:
    """The boxes as a scorer sees them, whatever their ids."""
    paths = {image.id: image.path.name for image in data.images}
    names = {category.id: category.name for category in data.categories}
    return {
        (paths[box.image_id], names[box.category_id], tuple(round(v, 2) for v in box.bbox), box.is_crowd)
        for box in data.boxes
    }


def seen_in(coco: Coco) -> Seen:
    """The same of a dictionary that is as it should be."""
    paths = {image["id"]: image["file_name"] for image in coco["images"]}
    names = {category["id"]: category["name"] for category in coco["categories"]}
    return {
        (
            paths[box["image_id"]],
            names[box["category_id"]],
            tuple(round(v, 2) for v in box["bbox"]),
            bool(box["iscrowd"]),
        )
        for box in coco["annotations"]
    }


def _some(rows: list[Any], chance: random.Random) -> list[Any]:
    return chance.sample(rows, chance.randint(1, max(1, len(rows) // 3)))


def _image_ids(make: Callable[[Any], Any]) -> Callable[..., None]:
    def change(coco: Coco, chance: random.Random) -> None:
        for image in coco["images"]:
            image["id"] = make(image.get("id"))
        for box in coco["annotations"]:
            box["image_id"] = make(box.get("image_id"))

    return change


def _category_ids(make: Callable[[Any], Any]) -> Callable[..., None]:
    def change(coco: Coco, chance: random.Random) -> None:
        for category in coco["categories"]:
            category["id"] = make(category.get("id"))
        for box in coco["annotations"]:
            box["category_id"] = make(box.get("category_id"))

    return change


def _each(section: str, key: str, make: Callable[[Any], Any], some: bool = True) -> Callable[..., None]:
    """Change a key of some entries of a section, or of all; a make that gives `...` takes the key away."""

    def change(coco: Coco, chance: random.Random) -> None:
        for row in _some(coco[section], chance) if some else coco[section]:
            value = make(row.get(key))
            if value is ...:
                row.pop(key, None)
            else:
                row[key] = value

    return change


def _all_boxes(make: Callable[[list[float], float, float], list[float]]) -> Callable[..., None]:
    def change(coco: Coco, chance: random.Random) -> None:
        sizes = {str(image["id"]): (float(image["width"]), float(image["height"])) for image in coco["images"]}
        for box in coco["annotations"]:
            size = sizes.get(str(box["image_id"]))
            if size and isinstance(box["bbox"], list) and len(box["bbox"]) == 4:
                box["bbox"] = make([float(value) for value in box["bbox"]], *size)

    return change


def _more_boxes(make: Callable[[float, float], list[float]]) -> Callable[..., None]:
    def change(coco: Coco, chance: random.Random) -> None:
        for image in _some(coco["images"], chance):
            more = {"id": 1000 + len(coco["annotations"]), "image_id": image["id"], "iscrowd": 0, "area": 100}
            box = make(float(image["width"]), float(image["height"]))
            coco["annotations"].append({**more, "category_id": coco["categories"][0]["id"], "bbox": box})

    return change


def _again_in_every_image(coco: Coco, chance: random.Random) -> None:
    counts: dict[str, int] = {}
    for box in coco["annotations"]:
        key = str(box["image_id"])
        counts[key] = counts.get(key, 0) + 1
        box["id"] = counts[key]


def _shuffled(coco: Coco, chance: random.Random) -> None:
    for section in ("images", "annotations", "categories"):
        chance.shuffle(coco[section])


def _annotation(row: Any) -> Callable[..., None]:
    def change(coco: Coco, chance: random.Random) -> None:
        coco["annotations"].insert(chance.randrange(len(coco["annotations"])), copy.deepcopy(row))

    return change


def _category(row: Coco) -> Callable[..., None]:
    def change(coco: Coco, chance: random.Random) -> None:
        coco["categories"].append(copy.deepcopy(row))

    return change


def _image_twice(file: Callable[[str], str]) -> Callable[..., None]:
    def change(coco: Coco, chance: random.Random) -> None:
        image = copy.deepcopy(chance.choice(coco["images"]))
        image["file_name"] = file(image["file_name"])
        coco["images"].append(image)

    return change


def _coco_url(coco: Coco, chance: random.Random) -> None:
    for image in coco["images"]:
        image["coco_url"] = f"http://images.example.org/val2017/{image.pop('file_name')}"


# What is right to do with each: the data as it was meant, with or without a word; or the rest of it, counted; or not
# at all. A kind that may be either stands where the milder one is.
AS_MEANT: dict[str, Callable[..., None]] = {
    "image ids as text": _image_ids(str),
    "image ids as floats": _image_ids(float),
    "image ids padded": _image_ids(lambda value: f"{int(value):06d}"),
    "image ids as stems": _image_ids(lambda value: f"frame_{value}_x"),
    "category ids as text": _category_ids(str),
    "category ids as floats": _category_ids(float),
    "category ids as words": _category_ids(lambda value: f"class-{value}"),
    "category ids from 0": _category_ids(lambda value: value - 1),
    "huge ids": _image_ids(lambda value: value + 10**17),
    "annotation ids again in every image": _again_in_every_image,
    "annotation ids missing": _each("annotations", "id", lambda _: ...),
    "annotation ids null": _each("annotations", "id", lambda _: None),
    "annotation ids as text": _each("annotations", "id", str),
    "crowd null": _each("annotations", "iscrowd", lambda value: value or None, some=False),
    "crowd missing": _each("annotations", "iscrowd", lambda value: value or ...),
    "crowd as text": _each("annotations", "iscrowd", str),
    # Through a number: of the text "0" the truth value is another.
    "crowd as words": _each("annotations", "iscrowd", lambda value: bool(int(value))),
    "area null": _each("annotations", "area", lambda _: None),
    "area missing": _each("annotations", "area", lambda _: ...),
    "area as text": _each("annotations", "area", str),
    "boxes as text": _each("annotations", "bbox", lambda box: [str(value) for value in box]),
    "boxes turned": _each("annotations", "bbox", lambda b: [b[0] + b[2], b[1] + b[3], -b[2], -b[3]]),
    "backslashes": _each("images", "file_name", lambda name: f"images\\{name}"),
    "folders before names": _each("images", "file_name", lambda name: f"data/images/{name}"),
    "a drive before names": _each("images", "file_name", lambda name: f"C:\\data\\{name}"),
    "addresses": _each("images", "file_name", lambda name: f"https://example.org/a%20b/{name}?x=1"),
    "coco_url": _coco_url,
    "names in capitals": _each("images", "file_name", str.upper),
    "sizes missing": _each("images", "width", lambda _: ...),
    "sizes null": _each("images", "height", lambda _: None),
    "sizes as text": _each("images", "width", str),
    "shuffled": _shuffled,
    "a root category": _category({"id": 90, "name": "objects", "supercategory": "none"}),
    "a category twice, the other unused": _category({"id": 91, "name": "dog"}),
    "a category listed twice": _category({"id": 3, "name": "dog"}),
    "an image listed twice": _image_twice(lambda name: name),
    "spaces around names": _each("categories", "name", lambda name: f" {name} "),
}
COUNTED: dict[str, Callable[..., None]] = {
    "no box": _each("annotations", "bbox", lambda _: []),
    "null box": _each("annotations", "bbox", lambda _: None),
    "box missing": _each("annotations", "bbox", lambda _: ...),
    "box of three": _each("annotations", "bbox", lambda box: box[:3]),
    "box of words": _each("annotations", "bbox", lambda _: ["a", "b", "c", "d"]),
    "box of NaN": _each("annotations", "bbox", lambda box: [*box[:3], float("nan")]),
    "box of infinity": _each("annotations", "bbox", lambda box: [float("inf"), *box[1:]]),
    "box that overflows": _each("annotations", "bbox", lambda box: [1e308, box[1], 1e308, box[3]]),
    "box of booleans": _each("annotations", "bbox", lambda _: [True, False, True, True]),
    "box as an object": _each("annotations", "bbox", lambda box: {"x": box[0]}),
    "box in lists": _each("annotations", "bbox", lambda box: [box]),
    "boxes of zeros": _each("annotations", "bbox", lambda _: [0, 0, 0, 0]),
    "boxes outside": _more_boxes(lambda width, height: [width + 40, 10, 30, 30]),
    "boxes far outside": _more_boxes(lambda width, height: [-900, -900, 30, 30]),
    "slivers": _more_boxes(lambda width, height: [10, height - 3, 30, 40]),
    "image unknown": _each("annotations", "image_id", lambda _: 987654),
    "image null": _each("annotations", "image_id", lambda _: None),
    "category unknown": _each("annotations", "category_id", lambda _: 987654),
    "category null": _each("annotations", "category_id", lambda _: None),
    "category as a list": _each("annotations", "category_id", lambda value: [value]),
    "annotation null": _annotation(None),
    "annotation as a list": _annotation([1, 2]),
    "annotation empty": _annotation({}),
}
REFUSED: dict[str, Callable[..., None]] = {
    "corners": _all_boxes(lambda b, *_: [b[0], b[1], b[0] + b[2], b[1] + b[3]]),
    "centres": _all_boxes(lambda b, *_: [b[0] + b[2] / 2, b[1] + b[3] / 2, b[2], b[3]]),
    "fractions": _all_boxes(lambda b, w, h: [b[0] / w, b[1] / h, b[2] / w, b[3] / h]),
    "images half as large": _each("images", "width", lambda value: 2 * float(value), some=False),
    "two categories of one name": lambda coco, chance: coco["categories"][1].update(name=coco["categories"][0]["name"]),
    "two names of one category": _category({"id": 3, "name": "horse"}),
    "two images of one id": _image_twice(lambda name: "0001.png" if "0001" not in name else "0002.png"),
    "an image without a name": lambda coco, chance: coco["images"][0].update(file_name=None, coco_url=None),
    "an image without an id": lambda coco, chance: coco["images"][0].update(id=None),
    "an absent image": lambda coco, chance: coco["images"][0].update(file_name="nowhere.png"),
    "a category without a name": lambda coco, chance: coco["categories"][0].update(name=""),
    "an image that is none": lambda coco, chance: coco["images"].append(7),
    "no images": lambda coco, chance: coco.update(images=[]),
    "no annotations": lambda coco, chance: coco.pop("annotations"),
    "categories as an object": lambda coco, chance: coco.update(categories={"1": "person"}),
}
ALL = AS_MEANT | COUNTED | REFUSED


def depart(coco: Coco, kinds: list[str], chance: random.Random) -> None:
    """Apply `kinds` one after the other. One that cannot be applied to what the others left is passed over."""
    for kind in kinds:
        before = copy.deepcopy(coco)
        try:
            ALL[kind](coco, chance)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            coco.clear()
            coco.update(before)


def check(validate: Callable[[], AnnotatedImages], kinds: list[str]) -> str:
    """ "right", "counted" or "refused"; anything else is an error: a crash, or a change that nobody counted."""
    try:
        data = validate()
    except BenchError as error:
        if not (error.what and error.hint):
            raise AssertionError(f"{kinds}: refused without a word") from error
        return "refused"
    ids = [box.id for box in data.boxes]
    assert len(set(ids)) == len(ids) and len({image.id for image in data.images}) == len(data.images)
    sizes = {image.id: (image.width, image.height) for image in data.images}
    categories = {category.id for category in data.categories}
    for box in data.boxes:
        x, y, width, height = box.bbox
        assert width > 0 and height > 0 and box.category_id in categories
        assert (
            x >= -1 and y >= -1 and x + width <= sizes[box.image_id][0] + 1 and y + height <= sizes[box.image_id][1] + 1
        )
    if seen(data) == seen_in(base()):
        return "right"
    told = [notice for notice in data.notices if notice.changes_score]
    assert told, f"{kinds}: another score, and nobody says so"
    return "counted"
