"""Images by class, prompts by template."""

from pathlib import Path

import numpy as np
import pytest

from fixtures.accuracy.zero_shot import class_means
from fixtures.datasets.scenes import classification_set, read_templates, scenes, spoken
from fixtures.errors import BenchError
from tests.helpers.departures import picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    number = 0
    for name, count in (("wine_glass", 4), ("dog", 5), ("empty", 0)):
        (tmp_path / "set" / name / "more").mkdir(parents=True)
        for index in range(count):
            number += 1
            (tmp_path / "set" / name / ("more" if index % 2 else "") / f"{index}.png").write_bytes(
                picture(20, 30, number)
            )
    return tmp_path / "set"


def test_every_second_image_of_a_class_calibrates(folder: Path):
    data = scenes(folder)
    assert data.prompts == ("a photo of a dog", "a photo of a wine glass")
    assert (len(data.evaluation), len(data.calibration)) == (5, 4)
    assert data.labels == (0, 0, 0, 1, 1)
    assert not set(data.evaluation.ids) & set(data.calibration.ids)
    assert not set(data.prompts) & set(data.calibration_prompts)
    assert data.evaluation.load(data.evaluation.ids[0]).shape == (20, 30, 3)


def test_templates_are_averaged_by_class(folder: Path):
    data = scenes(folder, ("a {}", "the {}", "{}!"))
    assert data.prompts[:3] == ("a dog", "the dog", "dog!") and data.templates == 3
    texts = np.array([[2, 0], [0, 3], [1, 1], [1, 0], [1, 0], [np.nan, 0]], np.float32)
    means = class_means(texts, 3)
    assert means.shape == (2, 2) and means[0] == pytest.approx([(1 + 0.5**0.5) / 3] * 2)
    assert np.isnan(means[1]).all()
    assert class_means(texts, 1) is texts


def test_what_is_no_picture_is_left_out_and_counted(folder: Path):
    (folder / "dog/._0.png").write_bytes(b"Mac OS X")
    (folder / "dog/broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "dog/notes.txt").write_text("no picture either")
    data = scenes(folder)
    assert len(data.evaluation) + len(data.calibration) == 9
    assert {notice.code: notice.examples for notice in data.notices} == {
        "foreign-files": ("._0.png",),
        "images-damaged-scenes": ("dog/broken.jpg",),
    }


def test_one_class_leaves_nothing_to_choose(folder: Path, tmp_path: Path):
    for path in (folder / "dog").rglob("*.png"):
        path.unlink()
    with pytest.raises(BenchError, match="images of 1 classes"):
        scenes(folder)
    with pytest.raises(BenchError, match="folder of scenes not found"):
        scenes(tmp_path / "nowhere")


def test_a_file_of_templates(tmp_path: Path):
    file = tmp_path / "templates.txt"
    file.write_text("# of CLIP\n\na photo of a {}.\nart of the {}\n")
    assert read_templates(file) == ("a photo of a {}.", "art of the {}")
    for content in ("a photo", "{} and {}", "", "a picture with {} in it"):
        file.write_text(content)
        with pytest.raises(BenchError, match="template"):
            read_templates(file)


@pytest.mark.parametrize(
    ("folder_name", "said"),
    [("wine_glass", "wine glass"), ("n02084071-German_shepherd", "German shepherd"), ("t-shirt", "t-shirt")],
)
def test_names_of_folders_are_spoken(folder_name: str, said: str):
    assert spoken(folder_name) == said


def test_folders_are_a_networks_classes_by_name(folder: Path):
    data = classification_set(folder, ("zebra", "Wine glass", "dog"))
    assert data.labels == (2, 2, 2, 1, 1)
    assert (len(data.evaluation), len(data.calibration)) == (5, 4)
    with pytest.raises(BenchError, match="dog: no class of the network"):
        classification_set(folder, ("zebra", "wine_glass"))
