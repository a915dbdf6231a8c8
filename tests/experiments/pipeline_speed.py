"""`python -m tests.experiments.pipeline_speed --json OUT`: how much faster is the best pipeline than the common one?

Photos of 12 megapixels and of COCO's size are made here, as cameras write them (4:2:0, quality 90, all EXIF
orientations); then the baseline pipeline, the baseline with other engines alone, and the best pipelines are measured
in one run, and judged against the baseline pipeline. Bars on an H200 with 16 cores: 12 MP ≥ 120×, ≥ 50× where the host
decodes, COCO's size ≥ 20×, with at least 98 % of the accuracy.

Real networks where they are given: `--real DIR` with yolov8n-coco.pt and coco128/ (images/, instances.json), and
`--clip-minutes M`, which first trains a ViT-B/32 on the generated captions. Without them those of the embedded suite.
What a pipeline cannot do here costs that pipeline alone, and is said. `--device cpu --photos 8 --sensor 1008x756` tries
all of it on a laptop.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from fixtures import ROOT
from fixtures.backends import registry as backends
from fixtures.cache.engine_cache import EngineCache
from fixtures.datasets.coco import load_rgb, read_annotations
from fixtures.gpu.nvml import GpuWatch, open_watch, torch_gpu
from fixtures.models.yolo import CONFIDENCE
from fixtures.photos.base import LabelledPhotos, Photo, PhotoSet
from fixtures.photos.drawn import Recipe, drawn_photos, encode
from fixtures.pipeline.factory import open_pipeline, unsupported_reason
from fixtures.pipeline.judge import Predictions, failures, judge, predict
from fixtures.pipeline.measure import measure_speed
from fixtures.pipeline.spec import BASELINE, EngineName, PipelineSpec
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import Suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.workbench import Workbench
from fixtures.timing.sampler import SamplerSettings
from reports.analysis.pipeline import engines_alone, exchanges, limits, reached, sum_of_stages
from reports.record.pipeline import PipelineResult

ORIENTATIONS = (1, 6, 3, 8)
GRAIN_SIGMA = 3.0
COCO_SENSOR = (640, 480)


@dataclass(frozen=True)
class Material:
    """One set of photos for speed, and the sets that judge boxes and scenes."""

    name: str
    speed: PhotoSet
    judged: tuple[LabelledPhotos, ...]


def main() -> int:
    asked = _parser().parse_args()
    started = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="pipeline-speed-"))
    training = _train_clip(asked.clip_minutes, scratch / "clip", asked.device)
    cache = EngineCache(asked.engine_cache)
    width, height = (int(part) for part in asked.sensor.split("x"))
    materials = [
        _material("12mp", cache, asked.real, asked.photos, (width, height), scratch),
        _material("coco", cache, asked.real, asked.photos, COCO_SENSOR, scratch),
    ]
    _say(started, "photos are made")
    if training is not None and training.wait() != 0:
        print("the training of the CLIP failed: its output is above", file=sys.stderr)
        return 1
    workbench = open_workbench(_options(asked), _suite(asked.real, scratch / "clip" if training else None), print)
    results: list[PipelineResult] = []
    engine = _first_engine(asked, workbench)
    _say(started, f"engines: {engine}")
    with _watch() as watch:
        for material in materials:
            run = _Run(asked, workbench, material, watch, started)
            for spec in _specs(asked, engine, material.name):
                run.measure(spec)
                results = [*[each for each in results if each.photo_set != material.name], *run.results]
                # Whatever stops the run, what was measured is kept.
                asked.json.write_text(json.dumps([each.to_dict() for each in results], indent=1), encoding="utf-8")
            run.conclude()
    workbench.close()
    _say(started, f"{asked.json} holds {len(results)} results")
    return 0


class _Run:
    """All pipelines on one material."""

    def __init__(
        self, asked: Any, workbench: Workbench, material: Material, watch: GpuWatch | None, started: float
    ) -> None:
        self._asked = asked
        self._workbench = workbench
        self._material = material
        self._watch = watch
        self._started = started
        self._baselines: list[Predictions] = []
        self.results: list[PipelineResult] = []

    def measure(self, spec: PipelineSpec) -> None:
        name = f"{self._material.name} {spec.id} b{spec.batch}"
        if reason := unsupported_reason(spec, self._asked.device):
            _say(self._started, f"{name}: not run: {reason}")
            return
        try:
            result = self._measured(spec)
        except Exception:  # a decoder or compiler of a machine that nobody has seen yet
            _say(self._started, f"{name}: FAILED\n{traceback.format_exc()}")
            return
        self.results.append(result)
        _say(self._started, f"{name}\n{_text(result)}")

    def _measured(self, spec: PipelineSpec) -> PipelineResult:
        photos = [str(photo.path) for photo in self._material.speed]
        result = _named(spec, self._material)
        judged_spec = replace(spec, confidence=CONFIDENCE)
        if spec.overlap != "serial" or _is_timed(spec):
            settings = SamplerSettings(
                warmup_max_s=self._asked.seconds, max_measured_s=self._asked.seconds, min_samples=20, window=5
            )
            progress = lambda text: _say(self._started, text)  # noqa: E731
            with open_pipeline(spec, self._workbench, self._asked.device, (), photos, progress) as pipeline:
                result = replace(result, speed=measure_speed(pipeline, photos, settings, self._watch))
                judged_spec = replace(judged_spec, overlap=pipeline.overlap, workers=pipeline.workers)
        if self._is_engine_check(spec):
            return result
        with open_pipeline(judged_spec, self._workbench, self._asked.device) as pipeline:
            predictions = [predict(pipeline, labelled) for labelled in self._material.judged]
        if not self._baselines:
            self._baselines = predictions
        texts = self._workbench.evaluation.text_embeddings(self._workbench.sources.zero_shot.prompts)
        parts = [
            judge(mine, theirs, labelled, texts, 0.02)
            for mine, theirs, labelled in zip(predictions, self._baselines, self._material.judged, strict=True)
        ]
        for part in parts:
            for sentence in failures(part):
                _say(self._started, f"GATE: {sentence}")
        # Boxes are judged where there are boxes, scenes where the network knows the scenes: each set has its part.
        metrics = tuple(
            metric
            for labelled, part in zip(self._material.judged, parts, strict=True)
            for metric in part.metrics
            if _judges(labelled, metric.name, len(parts) > 1)
        )
        failed = {name: reason for part in parts for name, reason in part.failed_photos.items()}
        count = sum(part.photos for part in parts)
        return replace(result, accuracy=replace(parts[-1], metrics=metrics, photos=count, failed_photos=failed))

    @staticmethod
    def _is_engine_check(spec: PipelineSpec) -> bool:
        """The baseline with other engines alone: timed to check the prediction; engines are judged elsewhere."""
        return _is_timed(spec) and spec.overlap == "serial" and spec.detector != BASELINE.detector

    def conclude(self) -> None:
        """The ratios, the limits and the check of the prediction."""
        timed = [each for each in self.results if each.speed is not None]
        baseline = next((each for each in timed if each.baseline), None)
        if baseline is None or baseline.speed is None:
            return
        print(f"\n== {self._material.name}: {baseline.photo_megapixels:.1f} MP, {baseline.photo_bytes / 1e6:.2f} MB ==")
        for each in sorted(timed, key=lambda one: -(one.speed.photos_per_second if one.speed else 0)):
            assert each.speed is not None
            ratio = each.speed.photos_per_second / baseline.speed.photos_per_second
            worst = min((metric.ratio for metric in each.accuracy.metrics), default=0.0) if each.accuracy else 0.0
            limit = limits(each.speed)[0]
            print(
                f"{ratio:8.2f}x {each.speed.photos_per_second:9.1f}/s  acc {worst:.4f}  "
                f"reached {reached(each.speed):.2f} of what {limit.resource} allow ({limit.stage})  "
                f"{each.pipeline} b{each.speed.batch} {each.speed.overlap} w{each.speed.workers}"
            )
        alone = engines_alone(baseline, timed)
        if alone is not None and alone.speed is not None:
            predicted = next(each for each in exchanges(baseline.speed, alone.speed) if each.name == "the engines")
            did = alone.speed.photos_per_second / baseline.speed.photos_per_second
            print(f"engines alone: predicted {predicted.speedup:.3f}x (at most {predicted.limit:.3f}x), did {did:.3f}x")
        best = max(timed, key=lambda one: one.speed.photos_per_second if one.speed else 0)
        assert best.speed is not None
        for each in exchanges(baseline.speed, best.speed):
            print(f"  {each.name:12} {each.before_ms:8.2f} -> {each.after_ms:7.3f} ms: {each.speedup:.2f}x")


def _is_timed(spec: PipelineSpec) -> bool:
    """Serial pipelines that exchange a decoder or a resize alone are judged and not timed: their stages are known."""
    return spec.decoder == BASELINE.decoder and spec.preprocessor == BASELINE.preprocessor


def _judges(labelled: LabelledPhotos, metric: str, both: bool) -> bool:
    if not both:
        return True
    boxes_alone = all(label is None for label in labelled.labels)
    return metric.startswith("mAP") == boxes_alone


def _text(result: PipelineResult) -> str:
    lines = []
    if (speed := result.speed) is not None:
        stages = ", ".join(f"{each.name} {each.wall_ms:.3f}" for each in speed.stages)
        lines.append(f"    ms a photo: {stages}; whole {speed.whole_ms:.3f} (sum {sum_of_stages(speed):.3f} of it)")
        joules = "-" if speed.joules_per_photo is None else f"{speed.joules_per_photo:.2f} J"
        busy = "-" if speed.gpu_busy is None else f"{speed.gpu_busy:.2f}"
        lines.append(
            f"    {speed.photos_per_second:.1f} photos/s ({speed.low:.1f}-{speed.high:.1f}, {speed.photos} photos, "
            f"{speed.stop_reason}), alone {speed.latency_ms:.1f} ms, CPU {speed.cpu_busy:.2f} of {speed.cores} cores, "
            f"GPU {busy}, {speed.memory_bytes / 1e9:.1f} GB, {joules}; failed {speed.failed_photos or 'none'}"
        )
    if (accuracy := result.accuracy) is not None:
        told = ", ".join(f"{m.name} {m.ratio:.4f} [{m.low:.4f}, {m.high:.4f}]" for m in accuracy.metrics)
        lines.append(
            f"    accuracy on {accuracy.photos} photos: {told}; flips {accuracy.flips}, cosine worst "
            f"{accuracy.embedding_cosine_worst:.4f}; failed {len(accuracy.failed_photos)}"
        )
    return "\n".join(lines)


def _specs(asked: Any, engine: EngineName, material: str) -> Iterator[PipelineSpec]:
    """The baseline first, then what exchanges one thing, then the fast ones."""
    yield BASELINE
    yield replace(BASELINE, detector=engine, image_tower=engine)
    if material != "12mp":  # where a photo takes a fifth of a second, minutes would go into them
        for decoder in ("simplejpeg", "nvimagecodec", "torchvision-cuda"):
            yield replace(BASELINE, decoder=decoder)
        yield replace(BASELINE, preprocessor="fast")
    yield replace(BASELINE, preprocessor="matrix")
    for batch in (int(part) for part in asked.batches.split(",")):
        host = PipelineSpec("simplejpeg", "fast", engine, engine, "matrix", "auto", batch)
        yield host
        for decoder in ("nvimagecodec", "torchvision-cuda"):
            gpu = replace(host, decoder=decoder, preprocessor="matrix", overlap="threads")
            yield gpu
            if decoder == "nvimagecodec":
                yield replace(gpu, second_decoder="simplejpeg")


def _first_engine(asked: Any, workbench: Workbench) -> EngineName:
    """The first of the engines asked for that this machine can compile."""
    names = [EngineName(*text.rsplit("-", 1)) for text in asked.engines.split(",")]
    batch = int(asked.batches.split(",")[0])
    for name in names[:-1]:
        reason = backends.unsupported_reason(name.backend, name.precision, asked.device, "detection")
        try:
            if not reason:
                workbench.engines.load(Case("clip-image", "zero-shot", name.backend, name.precision, batch))
                return name
        except Exception:  # a compiler of a machine that nobody has seen yet
            reason = traceback.format_exc()
        print(f"{name} is left out: {reason}")
    return names[-1]


def _named(spec: PipelineSpec, material: Material) -> PipelineResult:
    sizes = [photo.path.stat().st_size for photo in material.speed]
    image = cv2.imread(str(material.speed.photos[0].path))
    return PipelineResult(
        pipeline=spec.id,
        photo_set=material.name,
        photo_megapixels=image.shape[0] * image.shape[1] / 1e6,
        photo_bytes=float(np.mean(sizes)),
        decoder=f"{spec.decoder}+{spec.second_decoder}" if spec.second_decoder else spec.decoder,
        preprocessor=spec.preprocessor,
        detector=str(spec.detector),
        image_tower=str(spec.image_tower),
        nms=spec.nms,
        baseline=spec == BASELINE,
    )


def _material(
    name: str, cache: EngineCache, real: Path | None, count: int, sensor: tuple[int, int], scratch: Path
) -> Material:
    # With real networks the drawn ones judge scenes alone.
    drawn = drawn_photos(cache, max(count if real is None else count // 2, 8), sensor)
    if real is None:
        return Material(name, _ordinary(drawn), (drawn,))
    enlarged = _enlarged(real / "coco128", count, sensor, scratch / name)
    return Material(name, enlarged.photos, (enlarged, drawn))


def _ordinary(drawn: LabelledPhotos) -> PhotoSet:
    """Those that a camera writes: sequential, in colour."""
    photos = tuple(photo for photo in drawn.photos if "-baseline-" in photo.name)
    return PhotoSet(f"{len(photos)} sequential ones of {drawn.photos.name}", photos)


def _enlarged(coco128: Path, count: int, sensor: tuple[int, int], folder: Path) -> LabelledPhotos:
    """COCO images with the longer side of the sensor, with grain where that enlarges them, and their boxes."""
    coco = read_annotations(coco128 / "instances.json")
    images = sorted(coco["images"], key=lambda image: int(image["id"]))[:count]
    folder.mkdir(parents=True)

    def store(number: int) -> tuple[Photo, float, tuple[int, int]]:
        pixels = load_rgb(coco128 / "images" / images[number]["file_name"])
        scale = sensor[0] / max(pixels.shape[:2])
        if scale > 1:
            pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            rng = np.random.default_rng(number)
            table = rng.normal(0, GRAIN_SIGMA, 256).round().astype(np.int8)
            grain = table[np.frombuffer(rng.bytes(pixels.size), np.uint8)].reshape(pixels.shape)
            pixels = np.asarray(cv2.add(pixels, grain, dtype=cv2.CV_8U))
        else:
            scale = 1.0
        height, width = pixels.shape[:2]
        path = folder / f"{number:05d}.jpg"
        path.write_bytes(encode(pixels, Recipe(width, height, "baseline", ORIENTATIONS[number % 4])))
        return Photo(path, path.name), scale, (width, height)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        stored = list(pool.map(store, range(len(images))))
    position = {image["id"]: number for number, image in enumerate(images)}
    boxes = []
    for box in coco["annotations"]:
        if (number := position.get(box["image_id"])) is not None:
            scale = stored[number][1]
            area = box.get("area", box["bbox"][2] * box["bbox"][3]) * scale**2
            boxes.append({**box, "image_id": number, "bbox": [side * scale for side in box["bbox"]], "area": area})
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


def _suite(real: Path | None, clip: Path | None) -> Suite:
    if real is None:
        return Suite("embedded", "experiment")
    images = real / "coco128" / "images"
    return Suite(
        "real",
        "experiment",
        yolo=str(real / "yolov8n-coco.pt"),
        clip=str(clip or "untrained"),
        coco_images=str(images),
        coco_annotations=str(real / "coco128" / "instances.json"),
    )


def _train_clip(minutes: float, folder: Path, device: str) -> "subprocess.Popen[bytes] | None":
    if not minutes:
        return None
    command = [sys.executable, "-m", "fixtures.embedded.train_full_size", "--output", str(folder), "--device", device]
    return subprocess.Popen([*command, "--minutes", str(minutes)], cwd=ROOT)


def _options(asked: Any) -> Options:
    names = (
        "yolo clip coco_images coco_annotations calibration_images models backends precisions batches measure_seconds "
        "output resume shard history rebuild"
    )
    given = {
        "suite": "auto", "device": asked.device, "tolerance": "0.02", "energy_seconds": "0", "processes": "1",
        "engine_cache": str(asked.engine_cache), "engine_cache_limit": "50", "trt_workspace": "4096", "trt_level": "3",
        "case_seconds": "3600",
    }  # fmt: skip
    return Options.from_values({**dict.fromkeys(names.split(), ""), **given}, ROOT)


@contextmanager
def _watch() -> Iterator[GpuWatch | None]:
    found = open_watch(torch_gpu()).result()
    if isinstance(found, str):
        print(f"nobody watches the GPU: {found}")
        yield None
        return
    with found as watch:
        yield watch


def _say(started: float, text: str) -> None:
    print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--real", type=Path, help="folder of yolov8n-coco.pt and coco128/")
    parser.add_argument("--clip-minutes", type=float, default=0.0)
    parser.add_argument("--photos", type=int, default=128)
    parser.add_argument("--sensor", default="4032x3024")
    parser.add_argument("--seconds", type=float, default=5.0, help="time limit of one measurement")
    parser.add_argument("--engines", default="torch-compile-cuda-graph-fp16,pytorch-cuda-graph-fp16")
    parser.add_argument("--batches", default="32")
    parser.add_argument("--engine-cache", type=Path, default=Path(tempfile.gettempdir()) / "pipeline-engines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
