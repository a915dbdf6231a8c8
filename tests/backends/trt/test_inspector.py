"""What an engine computes in, read from answers that TensorRT's inspector gave, and from sizes."""

import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.backends.trt.inspector import (
    WeightCount,
    built_from,
    count_weights,
    layers_by_precision,
    possible_precisions,
)
from fixtures.precision.fp16 import to_fp16
from tests.helpers.networks import write_detector


def _tensor(name: str, dims: list[int]) -> dict[str, Any]:
    return {"Name": name, "Location": "Device", "Dimensions": dims, "Format/Datatype": "Row major linear FP32"}


# Recorded from TensorRT 8.6.0 on an H200: the embedded CLIP's image tower in FP32, batch 8 (fields that nobody
# reads are left out).
CLIP_FP32 = json.dumps(
    {
        "Layers": [
            {
                "Name": "/tower/embeddings/Cast",
                "LayerType": "NoOp",
                "Inputs": [_tensor("pixel_values", [8, 3, 64, 64])],
                "Outputs": [_tensor("/tower/embeddings/Cast_output_0", [8, 3, 64, 64])],
                "TacticValue": "0x0000000000000000",
            },
            {
                "Name": "/tower/embeddings/patch_embedding/Conv",
                "LayerType": "CaskConvolution",
                "ParameterType": "Convolution",
                "Kernel": [8, 8],
                "OutMaps": 192,
                "Weights": {"Type": "Float", "Count": 36864},
                "Bias": {"Type": "Float", "Count": 0},
            },
            {
                "Name": "{ForeignNode[tower.embeddings.position_embedding.weight.../projection/MatMul]}",
                "LayerType": "Myelin",
                "Outputs": [_tensor("image_embeds", [8, 128])],
                "TacticValue": "0x0000000000000000",
            },
        ],
        "Bindings": ["pixel_values", "image_embeds"],
    }
)
CLIP_PLAN_BYTES = 8_148_764
CLIP_WEIGHTS = WeightCount(layers=26, weights=1_850_000)


def _engine(*layers: dict[str, Any]) -> str:
    return json.dumps({"Layers": list(layers)})


def _layer(kind: str, tactic: str = "") -> dict[str, Any]:
    return {"Name": "conv", "LayerType": "CaskConvolution", "Weights": {"Type": kind, "Count": 9}, "TacticName": tactic}


def test_named_layers_are_counted_by_the_type_of_their_weights():
    text = _engine(_layer("Half"), _layer("Half"), _layer("Int8"), {"Name": "pool", "LayerType": "CaskPooling"})
    assert layers_by_precision(text) == {"fp16": 2, "int8": 1}


def test_tf32_is_not_fp32():
    text = _engine(_layer("Float", "sm80_xmma_fprop_implicit_gemm_tf32f32_tf32f32_f32_nhwckrsc_nhwc"))
    assert built_from(text, 10**6, None).precision_mismatch("fp32")


def test_an_answer_without_details_names_no_layer_and_is_a_shortfall():
    text = _engine("Reformatting CopyNode for Input Tensor 0", "conv + relu")  # type: ignore[arg-type]
    assert built_from(text, 10**6, None).precision_mismatch("fp16") == (
        "asked for FP16, but of 0 layers the engine computes none that it names"
    )


def test_the_region_that_the_inspector_skips_is_judged_by_the_size_of_the_plan():
    built = built_from(CLIP_FP32, CLIP_PLAN_BYTES, CLIP_WEIGHTS)
    assert built.layers == {"fp32": 26}
    assert built.notes[0].endswith("8.1 MB for 1.9 million weights and 0.0 million other values, says FP32")
    assert not built.precision_mismatch("fp32")


def test_an_fp16_engine_that_is_really_fp32_is_a_shortfall():
    """The same engine, had it been asked for in FP16."""
    assert "26 in FP32" in built_from(CLIP_FP32, CLIP_PLAN_BYTES, CLIP_WEIGHTS).precision_mismatch("fp16")


def test_a_few_layers_that_tensorrt_merged_are_not_guessed():
    named = _engine(*[_layer("Half")] * 20)
    built = built_from(named, 10**9, WeightCount(layers=26, weights=10**6))
    assert built.layers == {"fp16": 20}
    assert not built.notes


# The towers of ViT-B/32 and of the embedded CLIP, and the sizes of their plans by TensorRT 8.6.0 on an H200.
SMALL_IMAGE = WeightCount(layers=26, weights=1_830_912, others=23_424)
SMALL_TEXT = WeightCount(layers=19, weights=606_208, others=94_080)
IMAGE = WeightCount(layers=74, weights=87_490_560, others=148_000)
TEXT = WeightCount(layers=73, weights=38_010_880, others=25_480_000)


@pytest.mark.parametrize(
    ("plan_bytes", "counted", "types"),
    [
        (352_759_324, IMAGE, "fp32"),
        (178_114_828, IMAGE, "fp16"),
        (95_167_924, IMAGE, "int8"),
        (254_731_108, TEXT, "fp32"),
        (127_809_292, TEXT, "fp16"),
        # The embedding of the tokens stayed in FP32: larger than the FP16 plan, and INT8 all the same.
        (142_212_596, TEXT, "int8"),
        (8_276_468, SMALL_IMAGE, "fp32"),
        (4_254_804, SMALL_IMAGE, "fp16"),
        (2_918_228, SMALL_IMAGE, "int8"),
        (3_200_316, SMALL_TEXT, "fp32"),
        (1_770_388, SMALL_TEXT, "fp16"),
    ],
)
def test_the_size_of_a_real_plan_tells_the_precision(plan_bytes: int, counted: WeightCount, types: str):
    assert possible_precisions(plan_bytes, counted) == (types,)


def test_a_plan_so_small_that_its_kernels_count_is_either_of_two():
    """The text tower of the embedded CLIP in INT8: half a megabyte is as much as INT8 saves."""
    assert possible_precisions(1_507_468, SMALL_TEXT) == ("fp16", "int8")
    built = built_from(_engine({"Name": "region", "LayerType": "Myelin"}), 1_507_468, SMALL_TEXT)
    assert built.layers == {"fp16 or int8": 19}
    assert "cannot tell FP16 from INT8" in built.notes[0]
    assert not built.precision_mismatch("int8") and not built.precision_mismatch("fp16")
    assert built.precision_mismatch("fp32")


# YOLOv8n at batch 8, and the sizes of its plans (reports/published/h200: TensorRT 8.6.0, which names every layer).
# Where a later version named fewer than half, the sizes would have to do.
YOLO = WeightCount(layers=64, weights=3_146_176, others=31_000, convolutions=64)
REGION = {"Name": "region", "LayerType": "Myelin"}


@pytest.mark.parametrize(
    ("plan_bytes", "said", "sound", "caught"),
    [
        (22_863_028, "fp32", ["fp32"], ["fp16", "int8"]),
        # An FP32 plan with hardly any kernels.
        (13_000_000, "fp32", ["fp32"], ["fp16", "int8"]),
        (10_072_020, "fp16", ["fp16"], ["fp32", "int8"]),
        # Kernels take more of an INT8 plan of convolutions than its weights do: nobody can say.
        (7_752_156, "fp16 or int8", ["int8", "fp16"], ["fp32"]),
    ],
)
def test_kernels_of_convolutions_leave_doubt_and_fail_no_sound_engine(
    plan_bytes: int, said: str, sound: list[str], caught: list[str]
):
    built = built_from(_engine(REGION), plan_bytes, YOLO)
    assert built.layers == {said: 64}
    assert not any(built.precision_mismatch(precision) for precision in sound)
    assert all(built.precision_mismatch(precision) for precision in caught)


def test_what_a_plan_has_no_room_for_is_not_in_it():
    assert possible_precisions(10**6, IMAGE) == ("int8",)


def test_control_characters_in_the_answer_are_read():
    """Recorded from 8.6.0: the ONNX nodes of one kernel are separated by a bare U+001E."""
    text = _engine(_layer("Half")).replace("conv", "[ONNX Layer: /act/Sigmoid]\x1e[ONNX Layer: /act/Mul]")
    assert "\x1e" in text
    assert layers_by_precision(text) == {"fp16": 1}


def test_weights_are_counted_in_every_precision_of_a_graph(tmp_path: Path):
    fp32 = write_detector(tmp_path / "fp32.onnx")
    to_fp16(fp32, tmp_path / "fp16.onnx")
    expected = 3 * 32 * 9 + 32 * 32 + 32 * 32 * 9 + 32 * 48 * 9 + 80 * 32 + 32 * 4 + 32 * 5
    for graph in ("fp32.onnx", "fp16.onnx"):
        counted = count_weights(tmp_path / graph)
        assert (counted.layers, counted.weights, counted.convolutions) == (7, expected, 7)
        # Biases, and what small constants the rewriting adds.
        assert 160 < counted.others < 240
