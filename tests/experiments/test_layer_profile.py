"""The profile's table, from an inspector's answer in the form that TensorRT 8.6 gives it."""

import json
from typing import Any

from tests.experiments.layer_profile import Layer, Timed, as_text, by_kind, layers_of


def _tensor(dims: list[int], form: str) -> dict[str, Any]:
    return {"Name": "t", "Dimensions": dims, "Format/Datatype": form}


def _told(name: str, kind: str, read: str, written: str, weights: str = "") -> dict[str, Any]:
    layer: dict[str, Any] = {
        "Name": name,
        "LayerType": kind,
        "Inputs": [_tensor([2, 3, 4, 4], read)],
        "Outputs": [_tensor([2, 8, 4, 4], written)],
    }
    return {**layer, "Weights": {"Type": weights, "Count": 9}} if weights else layer


HALF, BYTE = (
    "Channel major FP16 format where channel % 8 == 0",
    "Thirty-two wide channel vectorized row major Int8 format",
)


def test_a_layer_is_named_by_what_it_computes_and_counted_with_what_it_moves():
    text = json.dumps(
        {"Layers": [_told("conv", "CaskConvolution", BYTE, BYTE, "Int8"), _told("r", "Reformat", HALF, BYTE)]}
    )
    assert layers_of(text) == {
        "conv": Layer("conv", "weighted INT8", 2 * 3 * 16 + 2 * 8 * 16),
        "r": Layer("r", "conversion FP16 → INT8", 2 * 2 * 3 * 16 + 2 * 8 * 16),
    }


def test_a_change_of_layout_is_a_copy_and_other_layers_keep_their_type():
    text = json.dumps({"Layers": [_told("r", "Reformat", HALF, HALF), _told("p", "PointWiseV2", HALF, HALF)]})
    assert [layer.kind for layer in layers_of(text).values()] == ["copy FP16", "PointWiseV2 FP16"]


def test_the_table_has_every_kind_and_the_largest_layers_with_their_bandwidth():
    timed = [
        Timed(Layer("a", "weighted INT8", 8_000_000), 0.002),
        Timed(Layer("b", "weighted INT8", 1000), 0.001),
        Timed(Layer("c", "conversion FP16 → INT8", 1000), 0.001),
    ]
    assert by_kind(timed) == {"weighted INT8": (2, 0.003), "conversion FP16 → INT8": (1, 0.001)}
    text = as_text({"model.plan": timed})
    assert "0.003 (2)" in text
    assert "0.002   50.0%     8.0    4000  weighted INT8, 'a'" in text
