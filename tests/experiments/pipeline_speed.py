"""`python -m tests.experiments.pipeline_speed --record OUT.jsonl`: how much faster is the best pipeline?

Photos of 12 megapixels and of COCO's size are made here, as cameras write them (4:2:0, quality 90, all ways to hold a
telephone); then the baseline pipeline, the baseline with other engines alone, and the best pipelines are measured in
one run, and judged against the baseline pipeline. Bars on an H200 with 16 cores: 12 MP ≥ 120×, ≥ 50× where the host
decodes, COCO's size ≥ 20×, with at least 98 % of the accuracy.

`--real DIR` (yolov8n-coco.pt, coco128/): YOLOv8n on COCO images and a ViT-B/32 with random
weights are timed, boxes are judged on the same photos, and scenes by the embedded suite's networks on drawn photos of
the same size: random weights have no answers to keep. Without it the embedded networks are timed as well.
Every result is printed and recorded at once; what fails costs itself alone; after `--deadline` seconds nothing more is
begun. `--device cpu --photos 8 --sensor 1008x756 --engines onnxruntime-fp32` tries all of it on a laptop.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch

from fixtures import ROOT
from fixtures.backends import registry as backends
from fixtures.cache.engine_cache import EngineCache
from fixtures.environment.collect import describe
from fixtures.gpu.nvml import GpuWatch
from fixtures.models.yolo import CONFIDENCE
from fixtures.photos.base import LabelledPhotos, Photo, PhotoSet
from fixtures.photos.decode import decode_rgb
from fixtures.photos.drawn import Recipe, drawn_photos, encode
from fixtures.pipeline.factory import open_pipeline
from fixtures.pipeline.measuring.judge import Predictions, failures, judge, predict
from fixtures.pipeline.measuring.measure import gpu_watch, measure_speed
from fixtures.pipeline.measuring.photo_sets import ORIENTATIONS, scaled_box, timed_photos, with_grain
from fixtures.pipeline.registry import unsupported_reason
from fixtures.pipeline.spec import BASELINE, EngineName, PipelineSpec
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import Suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.workbench import Workbench
from fixtures.timing.sampler import SamplerSettings
from reports.analysis.pipeline import engines_alone, exchanges, limits, rate, reached, sum_of_stages
from reports.record.pipeline import PipelineAccuracy, PipelineName, PipelineSpeed, PipelineSummary
from reports.record.results import Result, to_values
from reports.record.schema import PIPELINE_KIND, EndRow, SessionRow, StageRow, new_session_id
from reports.record.store import Recorder

COCO_SENSOR = (640, 480)
TOLERANCE = 0.02
# For a network with random weights, whose answers nobody judges.
BOX_PROMPTS = ("a photo of an animal", "a photo of a vehicle", "a photo of food")


@dataclass(frozen=True)
class Material:
    """One set of photos for speed and boxes, and drawn ones that judge scenes by the embedded networks."""

    name: str
    speed: PhotoSet
    boxes: LabelledPhotos
    drawn: LabelledPhotos


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    started = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="pipeline-speed-"))
    cache = EngineCache(asked.engine_cache)
    width, height = (int(part) for part in asked.sensor.split("x"))
    sizes = {"12mp": (width, height), "coco": COCO_SENSOR}
    materials = [_material(name, cache, asked, size, scratch) for name, size in sizes.items()]
    _say(started, "photos are made")
    workbench = open_workbench(_options(asked), suite_of(asked.real), print)
    embedded = open_workbench(_options(asked), suite_of(None), print) if asked.real else workbench
    session = SessionRow(
        new_session_id(),
        workbench.sources.describe([]),
        {**asdict(_options(asked)), "models": [], "backends": [], "precisions": [], "shard": "", "engine_cache": ""},
        describe(asked.device, ROOT),
    )
    recorder = Recorder(asked.record)
    recorder.write(session)
    with gpu_watch() as watch:
        runs = [
            _Run(asked, workbench, embedded, material, watch, started, recorder, session.session)
            for material in materials
        ]
        large, small = runs
        # What the bars ask for first, then what explains it; the deadline ends it wherever it is.
        large.measure(BASELINE)
        engine = _first_engine(asked, workbench)
        _say(started, f"engines: {engine}")
        host = PipelineSpec(
            "simplejpeg", "fast", engine, engine, "matrix", "threads", asked.batch, workers=os.cpu_count() or 1
        )
        on_gpu = replace(host, decoder="nvimagecodec", preprocessor="matrix", workers=2)
        large.measure(on_gpu)
        small.measure(BASELINE)
        for spec in (on_gpu, host):
            small.measure(spec)
        large.measure(host)
        engines_only = replace(BASELINE, detector=_cheap(asked), image_tower=_cheap(asked))
        for run in (large, small):
            run.measure(engines_only)
            run.conclude()
        large.measure(replace(on_gpu, second_decoder="simplejpeg"))
        for run in (small, large):
            run.measure(replace(on_gpu, decoder="torchvision-cuda"))
        for run in (small, large):
            for spec in _alone(run.photo_set):
                run.measure(spec)
        for run in runs:
            run.conclude()
    recorder.write(EndRow(session.session, time.monotonic() - started, 0))
    recorder.close()
    if embedded is not workbench:
        embedded.close()
    workbench.close()
    _say(started, f"the record is {asked.record}")
    return 0


class _Run:
    """All pipelines on one material."""

    def __init__(
        self,
        asked: Any,
        workbench: Workbench,
        embedded: Workbench,
        material: Material,
        watch: GpuWatch | None,
        started: float,
        recorder: Recorder,
        session: str,
    ) -> None:
        self._asked = asked
        self._workbench = workbench
        self._embedded = embedded
        self._material = material
        self._watch = watch
        self._started = started
        self._recorder = recorder
        self._session = session
        self._baseline: tuple[Predictions, ...] = ()
        self.photo_set = material.name
        self.results: list[PipelineSummary] = []

    def measure(self, spec: PipelineSpec) -> None:
        """Speed, then accuracy: whatever becomes of one, the other counts."""
        name = f"{self._material.name} {spec.id} b{spec.batch}"
        if time.monotonic() - self._started > self._asked.deadline:
            _say(self._started, f"{name}: not begun: the deadline of {self._asked.deadline:.0f} s is over")
            return
        if reason := unsupported_reason(spec, self._asked.device):
            _say(self._started, f"{name}: not run: {reason}")
            return
        summary = PipelineSummary(name=_named(spec, self._material), speed=None, accuracy=None, outcomes={}, reasons={})
        chosen = spec
        if spec.overlap != "serial" or _is_timed(spec):
            try:
                speed, chosen = self._speed(spec)
                summary = replace(summary, speed=speed)
                self._write(summary.name, "speed", speed, "")
                _say(self._started, f"{name}\n{_speed_text(speed)}")
            except Exception:  # a decoder or compiler of a machine that nobody has seen yet
                _say(self._started, f"{name}: speed FAILED\n{traceback.format_exc()}")
        try:
            # Other engines alone are judged elsewhere; the baseline's answers are asked for when they are needed.
            if not _is_timed(spec):
                accuracy = self._accuracy(chosen)
                summary = replace(summary, accuracy=accuracy)
                closed = failures(accuracy, TOLERANCE)
                self._write(summary.name, "accuracy", accuracy, "; ".join(closed))
                gates = "".join(f"\n    GATE: {sentence}" for sentence in closed)
                _say(self._started, f"{name}\n{_accuracy_text(accuracy)}{gates}")
        except Exception:
            _say(self._started, f"{name}: accuracy FAILED\n{traceback.format_exc()}")
        self.results.append(summary)

    def _speed(self, spec: PipelineSpec) -> tuple[PipelineSpeed, PipelineSpec]:
        photos = [str(photo.path) for photo in self._material.speed]
        settings = SamplerSettings(
            warmup_min_s=0.3,
            warmup_max_s=self._asked.seconds,
            max_measured_s=self._asked.seconds,
            min_samples=20,
            window=4,
        )
        progress = lambda text: _say(self._started, text)  # noqa: E731
        with open_pipeline(spec, self._workbench, self._asked.device, BOX_PROMPTS, photos, progress) as pipeline:
            speed = measure_speed(pipeline, photos, settings, self._watch)
            chosen = replace(spec, overlap=pipeline.overlap, workers=pipeline.workers)
        return _with_photos(speed, self._material), chosen

    def _accuracy(self, spec: PipelineSpec) -> PipelineAccuracy:
        """Boxes by the networks that are timed, scenes by the embedded ones."""
        start = time.perf_counter()
        if not self._baseline:
            self._baseline = self._predictions(BASELINE)
        mine = self._predictions(spec)
        parts = []
        for candidate, baseline, labelled in zip(mine, self._baseline, self._judged, strict=True):
            bench = self._embedded if labelled is self._material.drawn else self._workbench
            texts = bench.evaluation.text_embeddings(labelled.prompts or BOX_PROMPTS)
            parts.append(judge(candidate, baseline, labelled, texts, TOLERANCE))
            flipped = np.flatnonzero(_top1(candidate.embeddings, texts) != _top1(baseline.embeddings, texts))
            if labelled is self._material.drawn and len(flipped):
                names = ", ".join(labelled.photos.photos[number].name for number in flipped[:12])
                _say(self._started, f"answered otherwise: {names}")
        boxes = [metric for metric in parts[0].metrics if metric.name.startswith("mAP")]
        scenes = [metric for metric in parts[-1].metrics if not metric.name.startswith("mAP")]
        return PipelineAccuracy(
            metrics=(*boxes, *scenes),
            photos=sum(part.photos for part in parts),
            tolerance=TOLERANCE,
            flips=parts[-1].flips,
            embedding_cosine_worst=parts[0].embedding_cosine_worst,
            failed_photos={name: reason for part in parts for name, reason in part.failed_photos.items()},
            scoring_seconds=time.perf_counter() - start,
        )

    @property
    def _judged(self) -> list[LabelledPhotos]:
        same = self._material.boxes is self._material.drawn
        return [self._material.drawn] if same else [self._material.boxes, self._material.drawn]

    def _predictions(self, spec: PipelineSpec) -> tuple[Predictions, ...]:
        found = []
        for labelled in self._judged:
            judged, workbench = replace(spec, confidence=CONFIDENCE), self._workbench
            if labelled is self._material.drawn and self._embedded is not self._workbench:
                # Its networks are compiled for nothing else: the engines that are ready at once.
                engine = BASELINE.detector if spec.detector == BASELINE.detector else _cheap(self._asked)
                judged = replace(judged, detector=engine, image_tower=engine, batch=BASELINE.batch)
                workbench = self._embedded
            labels = labelled.prompts or BOX_PROMPTS
            with open_pipeline(judged, workbench, self._asked.device, labels) as pipeline:
                found.append(predict(pipeline, labelled))
        return tuple(found)

    def _write(self, name: PipelineName, stage: str, result: Result, failure: str) -> None:
        described = {field: getattr(name, field) for field in PipelineName.__struct_fields__}
        outcome = "failed" if failure else "passed"
        row = StageRow(PIPELINE_KIND, self._session, described, stage, outcome, to_values(result), failure or None)
        self._recorder.write(row.to_dict())

    def conclude(self) -> None:
        """The ratios, the limits and the check of the prediction."""
        timed = [each for each in self.results if each.speed is not None]
        baseline = next((each for each in timed if each.name.baseline), None)
        if baseline is None or baseline.speed is None:
            return
        size = f"{baseline.speed.photo_megapixels} MP, {baseline.speed.photo_bytes} bytes"
        print(f"\n== {self._material.name}: {size} ==")
        for each in sorted(timed, key=lambda one: -rate(one.speed) if one.speed else 0):
            assert each.speed is not None
            ratio = rate(each.speed) / rate(baseline.speed)
            kept = [metric.ratio_value or 0.0 for metric in each.accuracy.metrics] if each.accuracy else []
            limit = limits(each.speed)[0]
            print(
                f"{ratio:8.2f}x {rate(each.speed):9.1f}/s  acc {min(kept, default=0.0):.4f}  "
                f"reached {reached(each.speed):.2f} of what {limit.resource} allow ({limit.stage})  "
                f"{each.name.id} b{each.speed.batch} {each.speed.overlap} w{each.speed.workers}"
            )
        alone = engines_alone(baseline, timed)
        if alone is not None and alone.speed is not None:
            predicted = next(each for each in exchanges(baseline.speed, alone.speed) if each.name == "the engines")
            did = rate(alone.speed) / rate(baseline.speed)
            print(f"engines alone: predicted {predicted.speedup:.3f}x (at most {predicted.limit:.3f}x), did {did:.3f}x")
        best = max(timed, key=lambda one: rate(one.speed) if one.speed else 0)
        assert best.speed is not None
        for change in exchanges(baseline.speed, best.speed):
            print(f"  {change.name:12} {change.before_ms:8.2f} -> {change.after_ms:7.3f} ms: {change.speedup:.2f}x")


def _top1(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """The label of each embedding, as `fixtures.accuracy.zero_shot` finds it."""
    return np.argmax(images @ (texts / np.linalg.norm(texts, axis=1, keepdims=True)).T, axis=1)


def _is_timed(spec: PipelineSpec) -> bool:
    """Serial pipelines that exchange a decoder or a resize alone are judged and not timed: their stages are known."""
    return spec.overlap == "serial" and (spec.decoder, spec.preprocessor) == (BASELINE.decoder, BASELINE.preprocessor)


def _speed_text(speed: PipelineSpeed) -> str:
    stages = ", ".join(f"{each.name} {each.wall_ms:.3f}" for each in speed.stages)
    joules = "-" if speed.joules_per_photo is None else f"{speed.joules_per_photo:.2f} J"
    busy = "-" if speed.gpu_busy is None else f"{speed.gpu_busy:.2f}"
    return (
        f"    ms a photo: {stages}; whole {speed.whole_ms:.3f} (sum {sum_of_stages(speed):.3f} of it)\n"
        f"    {speed.photos_per_second:.1f} photos/s ({speed.low:.1f}-{speed.high:.1f}, {speed.photos} photos, "
        f"{speed.stop_reason}), alone {speed.latency_ms:.1f} ms, {speed.overlap} {speed.workers} workers, "
        f"CPU {speed.cpu_busy:.2f} of {speed.cores} cores, GPU {busy}, {(speed.memory_bytes or 0) / 1e9:.1f} GB, "
        f"{joules}; failed {speed.failed_photos or 'none'}"
    )


def _accuracy_text(accuracy: PipelineAccuracy) -> str:
    told = ", ".join(f"{m.name} {m.ratio_value:.4f} [{m.low:.4f}, {m.high:.4f}]" for m in accuracy.metrics)
    return (
        f"    accuracy on {accuracy.photos} photos in {accuracy.scoring_seconds:.1f} s: {told}; "
        f"flips {accuracy.flips}, worst cosine {accuracy.embedding_cosine_worst:.4f}, "
        f"failed {len(accuracy.failed_photos)}"
    )


def _alone(photo_set: str) -> Iterator[PipelineSpec]:
    """A decoder or a resize exchanged alone, for its accuracy."""
    yield replace(BASELINE, preprocessor="matrix")
    if photo_set == "coco":  # photos of a fifth of a second each would cost minutes
        for decoder in ("nvimagecodec", "torchvision-cuda", "simplejpeg"):
            yield replace(BASELINE, decoder=decoder)
        yield replace(BASELINE, preprocessor="fast")


def _cheap(asked: Any) -> EngineName:
    """Engines that need no compiler."""
    return EngineName("pytorch-cuda-graph", "fp16") if asked.device == "cuda" else EngineName("onnxruntime", "fp32")


def _first_engine(asked: Any, workbench: Workbench) -> EngineName:
    """The first of the engines asked for that this machine can compile."""
    names = [EngineName(*text.rsplit("-", 1)) for text in asked.engines.split(",")]
    for name in names[:-1]:
        reason = backends.unsupported_reason(name.backend, name.precision, asked.device, "detection")
        try:
            if not reason:
                workbench.engines.load(Case("clip-image", "zero-shot", name.backend, name.precision, asked.batch))
                return name
        except Exception:  # a compiler of a machine that nobody has seen yet
            reason = traceback.format_exc()
        print(f"{name} is left out: {reason}")
    return names[-1]


def _named(spec: PipelineSpec, material: Material) -> PipelineName:
    return PipelineName(
        id=f"{spec.id}-{material.name}",
        photo_set=material.name,
        decoder=spec.decoders,
        preprocessor=spec.preprocessor,
        detector=str(spec.detector),
        image_tower=str(spec.image_tower),
        nms=spec.nms,
        overlap=spec.overlap,
        baseline=spec == BASELINE,
    )


def _with_photos(speed: PipelineSpeed, material: Material) -> PipelineSpeed:
    image = cv2.imread(str(material.speed.photos[0].path))
    assert image is not None
    return msgspec.structs.replace(
        speed,
        photo_megapixels=image.shape[0] * image.shape[1] / 1e6,
        photo_bytes=float(np.mean([photo.path.stat().st_size for photo in material.speed])),
    )


def _material(name: str, cache: EngineCache, asked: Any, sensor: tuple[int, int], scratch: Path) -> Material:
    drawn = drawn_photos(cache, max(asked.photos if asked.real is None else asked.judged, 8), sensor)
    if asked.real is None:
        return Material(name, timed_photos(drawn), drawn, drawn)
    enlarged = _enlarged(asked.real / "coco128", asked.photos, sensor, scratch / name)
    return Material(name, enlarged.photos, _first(enlarged, asked.judged), drawn)


def _first(labelled: LabelledPhotos, count: int) -> LabelledPhotos:
    """The first `count` of these photos, and their boxes."""
    annotations = {
        "images": [image for image in labelled.annotations["images"] if image["id"] < count],
        "annotations": [box for box in labelled.annotations["annotations"] if box["image_id"] < count],
        "categories": labelled.annotations["categories"],
    }
    photos = PhotoSet(labelled.photos.name, labelled.photos.photos[:count])
    return replace(labelled, photos=photos, annotations=annotations, labels=labelled.labels[:count])


def _enlarged(coco128: Path, count: int, sensor: tuple[int, int], folder: Path) -> LabelledPhotos:
    """COCO images with the longer side of the sensor, with grain where that enlarges them, and their boxes."""
    coco = json.loads((coco128 / "instances.json").read_text(encoding="utf-8"))
    images = sorted(coco["images"], key=lambda image: int(image["id"]))[:count]
    folder.mkdir(parents=True)

    def store(number: int) -> tuple[Photo, float, tuple[int, int]]:
        pixels = decode_rgb((coco128 / "images" / images[number]["file_name"]).read_bytes())
        scale = max(1.0, sensor[0] / max(pixels.shape[:2]))
        if scale > 1:
            enlarged = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            pixels = with_grain(enlarged, number)
        height, width = pixels.shape[:2]
        path = folder / f"{number:05d}.jpg"
        turn = ORIENTATIONS[number % len(ORIENTATIONS)]
        path.write_bytes(encode(pixels, Recipe(width, height, "baseline", turn)))
        return Photo(path, path.name), scale, (width, height)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        stored = list(pool.map(store, range(len(images))))
    position = {image["id"]: number for number, image in enumerate(images)}
    boxes = [
        {**scaled_box(box, stored[position[box["image_id"]]][1]), "image_id": position[box["image_id"]]}
        for box in coco["annotations"]
        if box["image_id"] in position
    ]
    annotations = {
        "images": [
            {"id": number, "file_name": photo.name, "width": size[0], "height": size[1]}
            for number, (photo, _, size) in enumerate(stored)
        ],
        "annotations": boxes,
        "categories": coco["categories"],
    }
    ids = tuple(sorted(int(category["id"]) for category in coco["categories"]))
    photos = PhotoSet(f"{len(stored)} COCO images of {sensor[0]} pixels", tuple(photo for photo, _, _ in stored))
    return LabelledPhotos(photos, annotations, ids, (), (None,) * len(stored))


def suite_of(real: Path | None) -> Suite:
    """The embedded suite, or that of a folder with yolov8n-coco.pt and coco128/, CLIP with random weights."""
    if real is None:
        return Suite("embedded", "experiment")
    return Suite(
        "real",
        "experiment",
        yolo=str(real / "yolov8n-coco.pt"),
        clip="untrained",
        coco_images=str(real / "coco128" / "images"),
        coco_annotations=str(real / "coco128" / "instances.json"),
    )


def _options(asked: Any) -> Options:
    return Options.from_values({"device": asked.device, "engine_cache": str(asked.engine_cache)}, ROOT)


def _say(started: float, text: str) -> None:
    print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, required=True, help="where the rows go (.jsonl)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--real", type=Path, help="folder of yolov8n-coco.pt and coco128/")
    parser.add_argument("--photos", type=int, default=128)
    parser.add_argument("--judged", type=int, default=64, help="photos that judge boxes, and as many that judge scenes")
    parser.add_argument("--sensor", default="4032x3024")
    parser.add_argument("--seconds", type=float, default=3.0, help="time limit of one measurement")
    parser.add_argument("--engines", default="torch-compile-cuda-graph-fp16,pytorch-cuda-graph-fp16")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--deadline", type=float, default=1e6, help="seconds after which nothing more is begun")
    parser.add_argument("--engine-cache", type=Path, default=Path(tempfile.gettempdir()) / "pipeline-engines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
