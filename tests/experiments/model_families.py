"""Every family of models through PyTorch and ONNX Runtime in FP32, FP16 and INT8: built, timed, scored, head named.

    python -m tests.experiments.model_families --models v8n,v5nu,11n,26n,rtdetr,siglip

Weights are random, data is drawn: what is shown is that each case is built, timed and scored, not how well or how fast.
A random baseline is implausible, and said to be; the ratio beside it says that engine and baseline agree.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from fixtures import ROOT
from fixtures.embedded.weights import clip_path
from fixtures.errors import BenchError
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import Suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.stages import CaseRunner
from fixtures.timing.sampler import SamplerSettings

YAMLS = {"v8n": "yolov8n.yaml", "v5nu": "yolov5n.yaml", "11n": "yolo11n.yaml", "26n": "yolo26n.yaml"}
RTDETR, SIGLIP = "rtdetr", "siglip"
SIDE = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join([*YAMLS, RTDETR, SIGLIP]))
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        images, annotations = _data(folder)
        for name in asked.models.split(","):
            where = _siglip(folder) if name == SIGLIP else _detector(name, folder)
            suite = Suite("real", "", coco_images=str(images), coco_annotations=str(annotations))
            suite = replace(suite, clip=str(where)) if name == SIGLIP else replace(suite, yolo=str(where))
            options = Options.from_parsed({"engine_cache": folder / "cache", "device": "cpu", "batches": (1,)}, ROOT)
            workbench = open_workbench(options, suite, lambda _: None)
            runner = CaseRunner(workbench, SamplerSettings(max_measured_s=0.1, warmup_max_s=0.1), 0.02)
            for model, task in (
                [("clip-image", "zero-shot"), ("clip-text", "zero-shot")]
                if name == SIGLIP
                else [(where.stem, "detection")]
            ):
                head = getattr(workbench.sources.model(model), "head", "embedding")
                for backend, precision in (
                    ("pytorch", "fp32"),
                    ("pytorch", "fp16"),
                    *(("onnxruntime", each) for each in ("fp32", "fp16", "int8")),
                ):
                    print(_case(runner, Case(model, task, backend, precision, 1), f"{name}: {head}"), flush=True)


def _case(runner: CaseRunner, case: Case, head: str) -> str:
    told = []
    for stage in ("build", "speed", "accuracy"):
        try:
            found = runner.ask(case, stage)
            told.append(found.skipped or found.headline)
        except (BenchError, RuntimeError) as error:
            told.append(f"ERROR {str(error).splitlines()[0][:200]}")
    ratios = getattr(found.result, "metrics", ())
    kept = ", ".join(f"{each.name} {each.value:.4f} of {each.baseline:.4f}" for each in ratios if each.gated)
    return f"| {case.id} | {head} | {' | '.join(told)} | {kept} |"


def _data(folder: Path) -> tuple[Path, Path]:
    """Twelve pictures with squares, as COCO."""
    import json

    chance = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    (folder / "images").mkdir()
    for number in range(12):
        picture = chance.integers(0, 255, (160, 200, 3), np.uint8)
        cv2.imwrite(str(folder / f"images/{number}.jpg"), picture)
        images.append({"id": number + 1, "file_name": f"{number}.jpg", "width": 200, "height": 160})
        for category in (1, 2):
            box = {"id": len(boxes) + 1, "image_id": number + 1, "category_id": category}
            boxes.append(box | {"bbox": [20 * category, 10, 90, 100], "area": 9000, "iscrowd": 0})
    categories = [{"id": 1, "name": "circle"}, {"id": 2, "name": "star"}]
    file = folder / "a.json"
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return folder / "images", file


def _detector(name: str, folder: Path) -> Path:
    from ultralytics.nn import tasks

    kind = tasks.RTDETRDetectionModel if name == RTDETR else tasks.DetectionModel
    torch.manual_seed(0)
    network = kind(YAMLS.get(name, "rtdetr-l.yaml"), ch=3, nc=2, verbose=False)
    network.names = {0: "circle", 1: "star"}
    with torch.no_grad():
        for tensor in network.model[-1].parameters():
            tensor.add_(torch.randn_like(tensor), alpha=0.05)
    torch.save({"model": network, "train_args": {"imgsz": SIDE, "task": "detect"}}, folder / f"{name}.pt")
    return folder / f"{name}.pt"


def _siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipModel

    where = Path(shutil.copytree(clip_path(), folder / SIGLIP))
    (where / "model.safetensors").unlink()
    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = small | {"vocab_size": 662, "max_position_embeddings": 32, "projection_size": 64, "eos_token_id": 1}
    torch.manual_seed(0)
    SiglipModel(
        SiglipConfig(text_config=text, vision_config=small | {"image_size": 64, "patch_size": 8})
    ).save_pretrained(where)
    config = where / "config.json"
    config.write_text(config.read_text().replace('"trained_on": "shapes"', '"trained_on": "nothing"'))
    return where


if __name__ == "__main__":
    main()
