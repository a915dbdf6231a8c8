"""`python -m tests.experiments.pipeline_pairs --change engines|nms`: one thing of a pipeline exchanged, by turns.

Pipelines that are measured one after the other differ by whatever the machine did meanwhile. Here their batches
alternate in one process, in the order A B, B A, and each ratio is of neighbours; the median of the ratios counts, with
its quartiles. `engines`: the baseline pipeline against other engines, once as a pipeline loads them and once with
threads that spin between two calls; what the baseline's stage times and the engines' own predict is held against what
was measured (bar: within 10 %). `nms`: ONNX Runtime with NMS outside (Ultralytics', batched, matrix) and inside.

`--real DIR` (yolov8n-coco.pt, coco128/) has YOLOv8n for 80 classes in place of the embedded networks, a ViT-B/32 with
random weights, and COCO images. Processor time, of all threads, is told beside the wall's: other programs on the same
cores do not change it much.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fixtures import ROOT
from fixtures.photos.drawn import SENSORS, drawn_photos
from fixtures.pipeline.factory import open_pipeline
from fixtures.pipeline.measuring.clock import STAGES, NoClock, StageClock
from fixtures.pipeline.measuring.photo_sets import COCO_SIZE
from fixtures.pipeline.pipeline import Pipeline
from fixtures.pipeline.registry import NMS
from fixtures.pipeline.spec import BASELINE, NMS_IN_GRAPH, EngineName, PipelineSpec
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.runner.factory import open_workbench
from fixtures.runner.workbench import Workbench
from reports.analysis.pipeline import CLOSE
from reports.record.pipeline import ENGINE_STAGES
from tests.experiments.pipeline_speed import suite_of

MILLISECONDS = 1e3
# Longer than threads of ONNX Runtime spin after a call.
SETTLE_S = 0.1
PROMPTS = ("a photo of an animal", "a photo of a vehicle", "a photo of food")
SPINNING = "with spinning threads"


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    options = Options.from_values({"device": "cpu", "engine_cache": str(asked.engine_cache)}, ROOT)
    workbench = open_workbench(options, suite_of(asked.real), print)
    photos = _photos(asked, workbench)
    pipelines = _pipelines(asked, workbench)
    first, *others = pipelines
    print(f"{len(photos)} photos ({asked.photos}), PyTorch with {torch.get_num_threads()} threads")
    times = _alternate(pipelines, photos, asked.seconds)
    print(f"{len(times[first])} rounds; milliseconds a photo, medians: wall, processor, stages")
    for name, rows in times.items():
        wall, cpu, *stages = np.median(rows, axis=0)
        listed = ", ".join(f"{stage} {ms:.2f}" for stage, ms in zip(STAGES, stages, strict=True))
        print(f"{name:>24} {wall:7.2f} {cpu:7.2f}  {listed}")
    held = [_told(name, times[first], times[name], asked.change == "engines") for name in others]
    # The bar is that of engines as a pipeline loads them.
    return 0 if held[0] else 1


def _photos(asked: Any, workbench: Workbench) -> list[Path]:
    """A batch of drawn photos as cameras write them, or of the COCO images as they are."""
    if asked.real:
        return sorted((asked.real / "coco128" / "images").glob("*.jpg"))[: BASELINE.batch]
    size = SENSORS[12] if asked.photos == "12mp" else COCO_SIZE
    drawn = [photo.path for photo in drawn_photos(workbench.cache, 3 * BASELINE.batch, size).photos]
    return [path for path in drawn if "-baseline-" in path.name][: BASELINE.batch]


def _pipelines(asked: Any, workbench: Workbench) -> dict[str, Pipeline]:
    """By name: what the others are compared with comes first."""
    engine = EngineName("onnxruntime", "fp32")

    def opened(spec: PipelineSpec) -> Pipeline:
        return open_pipeline(spec, workbench, "cpu", labels=PROMPTS)

    if asked.change == "nms":
        fast = PipelineSpec("simplejpeg", "fast", engine, engine, "batched")
        names = ("batched", NMS_IN_GRAPH, *(name for name in NMS if name not in ("batched", NMS_IN_GRAPH)))
        return {name: opened(replace(fast, nms=name)) for name in names}
    exchanged = replace(BASELINE, detector=engine, image_tower=engine)
    spinning = opened(exchanged)
    slots = (("yolov8n", "detection", "detector"), ("clip-image", "zero-shot", "image_tower"))
    for model, task, slot in slots:
        case = Case(model, task, engine.backend, engine.precision, BASELINE.batch)
        setattr(spinning.answerer, slot, workbench.engines.load(case).engine)
    return {"baseline": opened(BASELINE), str(engine): opened(exchanged), SPINNING: spinning}


def _alternate(pipelines: dict[str, Pipeline], photos: Sequence[Path], seconds: float) -> dict[str, list[list[float]]]:
    """For each pipeline a row a round: milliseconds a photo on the wall, of the processor, and of each stage."""
    rows: dict[str, list[list[float]]] = {name: [] for name in pipelines}
    end, order = time.monotonic() + seconds, list(pipelines)
    while time.monotonic() < end or len(rows[order[0]]) < 2:
        for name in order:
            time.sleep(SETTLE_S)
            _batch(pipelines[name], photos, NoClock())
            clock = StageClock(lambda: None)
            wall, cpu = time.perf_counter(), time.process_time()
            _batch(pipelines[name], photos, clock)
            spent = (time.perf_counter() - wall, time.process_time() - cpu, *(clock.wall_s[each] for each in STAGES))
            rows[name].append([each / len(photos) * MILLISECONDS for each in spent])
        order.reverse()
    return rows


def _batch(pipeline: Pipeline, photos: Sequence[Path], clock: NoClock) -> None:
    for _ in pipeline.run_serial(photos, clock):
        pass


def _told(name: str, before: list[list[float]], after: list[list[float]], predicting: bool) -> bool:
    """Print the ratios; whether a prediction, if one was made, is within its bar."""
    first, other = np.array(before), np.array(after)
    measured = first[:, 0] / other[:, 0]
    print(f"{name}: {_quartiles(measured)} times as fast, {_quartiles(first[:, 1] / other[:, 1])} by processor time")
    if not predicting:
        columns = [2 + STAGES.index(stage) for stage in ("detector", "nms")]
        both = first[:, columns].sum(axis=1) / other[:, columns].sum(axis=1)
        print(f"    detector and NMS together: {_quartiles(both)} times as fast")
        return True
    engines = [2 + STAGES.index(stage) for stage in ENGINE_STAGES]
    predicted = first[:, 0] / (first[:, 0] - first[:, engines].sum(axis=1) + other[:, engines].sum(axis=1))
    ratio = float(np.median(measured / predicted))
    print(f"    predicted {_quartiles(predicted)}; measured over predicted {_quartiles(measured / predicted)}")
    return abs(ratio - 1) <= CLOSE


def _quartiles(values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"{middle:.3f} ({low:.3f}–{high:.3f})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--change", choices=("engines", "nms"), required=True)
    parser.add_argument("--photos", choices=("12mp", "coco"), default="coco", help="drawn photos, without --real")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--real", type=Path, help="folder of yolov8n-coco.pt and coco128/")
    parser.add_argument("--engine-cache", type=Path, default=Path(tempfile.gettempdir()) / "pipeline-engines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
