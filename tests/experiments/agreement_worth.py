"""What an agreement of 98 % is worth: agreement without labels beside the mAP that labels give, for the same engines.

    python -m tests.experiments.agreement_worth --real DIR --output FOLDER

DIR holds yolov8n-coco.pt and coco128/ (images/, instances.json). Half of the images calibrate INT8, all engines are
judged on the other half: FP32 against itself, FP16 and INT8 by ONNX Runtime's CPU provider, and three damaged networks
of kinds that happen: channels of the input in the wrong order, weights rounded to four bits, and a layer of which a
tenth of the channels is lost. Prints a Markdown table.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fixtures.accuracy.agreement import DetectionAgreement, detection_agreement
from fixtures.accuracy.coco_map import evaluate, map_ratio
from fixtures.datasets.base import DetectionSet
from fixtures.datasets.coco import detection_set, split_in_halves
from fixtures.datasets.validation.coco import validate_coco
from fixtures.models.detector import Detector, load_detector
from fixtures.models.onnx_export import export_onnx
from fixtures.precision.fp16 import to_fp16
from fixtures.precision.int8 import Int8Settings, to_int8
from fixtures.precision.onnx_session import open_session

BATCH = 4
ROUNDED_BITS = 4
LOST_SHARE = 0.1
SEED = 0

Run = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Row:
    """One engine: its mAP over the baseline's by labels, and its agreement with the baseline without them."""

    name: str
    map_ratio: float
    agreement: DetectionAgreement


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args(arguments)
    asked.output.mkdir(parents=True, exist_ok=True)
    model = load_detector(asked.real / "yolov8n-coco.pt", "yolov8n")
    folder = asked.real / "coco128"
    annotated = validate_coco(folder / "instances.json", folder / "images")
    data = detection_set(split_in_halves(annotated), model.class_names())
    print(f"{len(data.evaluation)} images judge, {len(data.calibration)} calibrate", flush=True)
    baseline = _detections(model, data, _by_module(model.module()))
    for name, make in _engines(model, data, asked.output).items():
        print(_line(_judge(name, _detections(model, data, make()), baseline, data)), flush=True)
    return 0


def _engines(model: Detector, data: DetectionSet, folder: Path) -> dict[str, Callable[[], Run]]:
    fp32, fp16, int8 = (folder / f"{name}.onnx" for name in ("fp32", "fp16", "int8"))

    def graph(path: Path) -> Run:
        if not fp32.exists():
            export_onnx(model, model.prepare([data.evaluation.load(data.evaluation.ids[0])] * 2), fp32)
        if path == fp16 and not fp16.exists():
            to_fp16(fp32, fp16)
        if path == int8 and not int8.exists():
            feeds = [
                {model.input_name: model.prepare([data.calibration.load(each)]).numpy()}
                for each in data.calibration.ids
            ]
            to_int8(fp32, int8, feeds, Int8Settings(), lambda _: None)
        session = open_session(path)
        return lambda inputs: torch.from_numpy(session.run(None, {model.input_name: inputs.numpy()})[0])

    def damaged(damage: Callable[[nn.Module], None]) -> Run:
        module = model.module()
        with torch.no_grad():
            damage(module)
        return _by_module(module)

    plain = model.module()
    return {
        "FP32 against itself": lambda: _by_module(plain),
        "FP16 (ONNX Runtime, CPU)": lambda: graph(fp16),
        "INT8 (ONNX Runtime, CPU)": lambda: graph(int8),
        "damaged: red and blue swapped": lambda: lambda inputs: _by_module(plain)(inputs.flip(1).contiguous()),
        "damaged: weights rounded to 4 bits": lambda: damaged(_round_weights),
        "damaged: a tenth of one layer's channels lost": lambda: damaged(_lose_channels),
    }


def _round_weights(module: nn.Module) -> None:
    """Symmetric, a scale for each output channel, as the simplest quantiser does it."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            largest = layer.weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
            scale = largest / (2 ** (ROUNDED_BITS - 1) - 1)
            layer.weight.copy_((layer.weight / scale).round() * scale)


def _lose_channels(module: nn.Module) -> None:
    """Of the convolution in the middle of the network."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d) and layer.out_channels >= 64]
    layer = layers[len(layers) // 2]
    lost = np.random.default_rng(SEED).permutation(layer.out_channels)[: round(LOST_SHARE * layer.out_channels)]
    layer.weight[lost.tolist()] = 0
    if layer.bias is not None:
        layer.bias[lost.tolist()] = 0


def _by_module(module: nn.Module) -> Run:
    def run(inputs: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            output: torch.Tensor = module(inputs)
        return output

    return run


def _detections(model: Detector, data: DetectionSet, run: Run) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    ids = data.evaluation.ids
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        images = [data.evaluation.load(each) for each in some]
        rows = model.detections(run(model.prepare(images)), [(image.shape[0], image.shape[1]) for image in images])
        found.update(zip(some, rows, strict=True))
    return found


def _judge(name: str, found: dict[int, np.ndarray], baseline: dict[int, np.ndarray], data: DetectionSet) -> Row:
    scores = [evaluate(data.annotations, data.category_ids, rows) for rows in (found, baseline)]
    by_place = [
        {place: rows[image_id] for place, image_id in enumerate(data.evaluation.ids)} for rows in (found, baseline)
    ]
    names = {each["id"]: each["name"] for each in data.annotations["categories"]}
    categories = [{"id": each, "name": names[each]} for each in data.category_ids]
    agreement = detection_agreement(by_place[0], by_place[1], categories, range(len(data.evaluation)))
    return Row(name, map_ratio(scores[0], scores[1], "map50_95").value, agreement)


def _line(row: Row) -> str:
    found = row.agreement
    parts = [
        row.name,
        f"{row.map_ratio:.3f}",
        f"{found.pseudo_map.value:.3f} ({found.pseudo_map.low:.3f}–{found.pseudo_map.high:.3f})",
        *(f"{ratio.value:.3f}" for ratio in found.f1.values()),
        f"{found.shift.score_mean:.4f}",
        f"{found.shift.iou_mean:.4f}",
        f"{len(found.disagreeing)} of {found.n_photos}",
    ]
    return f"| {' | '.join(parts)} |"


if __name__ == "__main__":
    sys.exit(main())
