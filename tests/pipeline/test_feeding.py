"""Threads and processes feed what one caller feeds, in order; a broken photo costs itself alone."""

import time

import numpy as np
import pytest
import torch

from fixtures.photos.drawn import Recipe, encode
from fixtures.pipeline.answering import Answerer
from fixtures.pipeline.decoders.opencv import OpenCvDecoder
from fixtures.pipeline.feeding import GpuFeeder, HostFeeder, InputShape
from fixtures.pipeline.labels import CosineClassifier
from fixtures.pipeline.measuring.clock import STAGES, StageClock
from fixtures.pipeline.nms.batched import BatchedNms
from fixtures.pipeline.pipeline import Pipeline
from fixtures.pipeline.preprocessors.fast import FastPreprocessor
from fixtures.pipeline.preprocessors.matrix import MatrixPreprocessor

DETECTOR, CLIP, BATCH = 64, 32, 4


class Detector:
    """Finds one box, as large as the photo is bright: an engine whose answer depends on every pixel."""

    def __call__(self, images):
        raw = torch.zeros(len(images), 4 + 2, 30)
        raw[:, :4, 0] = images.mean(dim=(1, 2, 3))[:, None] * 40 + 4
        raw[:, 4, 0] = 0.9
        return raw

    def synchronize(self):
        pass


class Tower(Detector):
    def __call__(self, images):
        return images.mean(dim=(2, 3))


def answerer(dynamic=True, batch=BATCH):
    texts = np.eye(3, dtype=np.float32)
    return Answerer(
        Detector(), Tower(), BatchedNms(0.25), CosineClassifier(("red", "green", "blue"), texts, "cpu", 2),
        ("cat", "dog"), DETECTOR, CLIP, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), batch, dynamic, "cpu",
    )  # fmt: skip


def photos(count=11, size=(90, 120)):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (count, 3))
    return [
        encode(np.full((*size, 3), colour, np.uint8), Recipe(size[1], size[0], "baseline", 1 + number % 8))
        for number, colour in enumerate(colours)
    ]


def pipeline(overlap="serial", workers=2, dynamic=True, preprocessor=None):
    fast = preprocessor or FastPreprocessor(DETECTOR, CLIP)
    shape = InputShape(DETECTOR, CLIP, normalised=False)

    def feeders():
        if overlap == "gpu threads":
            return [GpuFeeder("opencv", lambda: MatrixPreprocessor(DETECTOR, CLIP, "cpu"), workers)]
        if overlap == "both":
            return [
                GpuFeeder("opencv", lambda: FastPreprocessor(DETECTOR, CLIP), workers),
                HostFeeder("opencv", fast, shape, BATCH, workers, "threads", pinned=False),
            ]
        return [HostFeeder("opencv", fast, shape, BATCH, workers, overlap, pinned=False)]

    return Pipeline(OpenCvDecoder(), fast, answerer(dynamic), feeders, overlap, workers)


def plain(results):
    return [(r.name, r.height, r.width, r.boxes, r.scenes, r.error) for r in results]


@pytest.mark.parametrize("overlap", ["threads", "both"])
@pytest.mark.parametrize("dynamic", [True, False])
def test_overlapped_answers_are_the_serial_ones_in_order(overlap, dynamic):
    given = photos()
    with pipeline(overlap, dynamic=dynamic) as overlapped:
        assert plain(overlapped.run(given)) == plain(pipeline(dynamic=dynamic).run(given))
        # Once more: slots and workers serve a second run.
        assert len(list(overlapped.run(given[:3]))) == 3


def test_processes_answer_as_one_caller_does(tmp_path):
    files = []
    for number, data in enumerate(photos(6)):
        files.append(tmp_path / f"{number}.jpg")
        files[-1].write_bytes(data)
    with pipeline("processes", workers=1) as overlapped:
        assert plain(overlapped.run(files)) == plain(pipeline().run(files))


def test_matrices_in_threads_answer_as_in_one_caller():
    matrix = MatrixPreprocessor(DETECTOR, CLIP, "cpu")
    given = photos()
    with pipeline("gpu threads") as overlapped:
        assert plain(overlapped.run(given)) == plain(pipeline(preprocessor=matrix).run(given))


@pytest.mark.parametrize("overlap", ["serial", "threads", "gpu threads"])
def test_a_broken_photo_is_named_and_the_others_are_answered(tmp_path, overlap):
    good = photos(9)
    given = [*good[:2], b"no photo", tmp_path / "gone.jpg", *good[2:]]
    with pipeline(overlap) as tried:
        results = list(tried.run(given))
    assert [bool(result.error) for result in results] == [False, False, True, True, *[False] * 7]
    assert "not an image" in results[2].error and "cannot be read" in results[3].error
    assert results[3].name == str(tmp_path / "gone.jpg") and results[2].name == "bytes 2"


@pytest.mark.parametrize("overlap", ["serial", "threads"])
def test_a_batch_without_one_good_photo(overlap):
    with pipeline(overlap) as tried:
        results = list(tried.run([b"no photo"] * 5))
    assert len(results) == 5 and all(result.error for result in results)


def test_a_run_that_is_left_early_gives_its_slots_back():
    given = photos(40)
    with pipeline("threads") as tried:
        for _ in range(4):
            results = tried.run(given)
            next(results)
            results.close()
        assert len(list(tried.run(given))) == 40


def test_photos_are_read_no_further_ahead_than_the_batches_in_the_works():
    taken = []

    def source():
        for number, data in enumerate(photos(60)):
            taken.append(number)
            yield data

    with pipeline("threads") as tried:
        next(tried.run(source()))
        assert len(taken) <= BATCH * 5


def test_the_stages_of_the_clock_add_up_to_the_whole():
    given = photos(8, (1500, 2000))
    shares = []
    for _ in range(5):  # what a busy machine does between two stages is in no stage
        clock, tried = StageClock(lambda: None), pipeline()
        start = time.perf_counter()
        list(tried.run_serial(given, clock))
        shares.append(sum(clock.wall_s.values()) / (time.perf_counter() - start))
    assert max(shares) <= 1 and max(shares) >= 0.95, shares
    assert set(clock.wall_s) == set(STAGES) and clock.wall_s["decode"] > clock.wall_s["labels"]


def test_boxes_and_scenes_are_named():
    (result,) = pipeline().run([photos(1)[0]])
    assert [box.label for box in result.boxes] == ["cat"]
    assert 0 <= result.boxes[0].x1 < result.boxes[0].x2 <= result.width
    assert {scene.label for scene in result.scenes} < {"red", "green", "blue"}
