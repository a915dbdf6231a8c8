"""The whole way on real engines: shipped from a run, verified, refused, built again."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fixtures.bundle.command import DOES_NOT, HOLDS, NOT_RUN
from reports.bundle.format import DESCRIPTION, README, SUMS, Bundle, Machine
from reports.bundle.reading import read_bundle
from tests.bundle.conftest import read, write

Verify = Callable[..., tuple[int, str]]
Give = Callable[[str], Path]

SLOW = ("--speed-tolerance", "0.9")


def changed(folder: Path, **fields: Any) -> Path:
    write(folder, msgspec.structs.replace(read(folder), **fields))
    return folder


@pytest.mark.parametrize("model", ["yolov8n", "clip-image", "clip-text"])
def test_a_bundle_reproduces_its_accuracy_exactly_and_its_speed(shipped: Give, verify: Verify, model: str):
    bundle = read(shipped(model))
    status, said = verify(shipped(model), *SLOW)
    assert status == HOLDS, said
    assert said.count("exactly the same") == len(bundle.metrics) == 2
    assert f"speed: {bundle.speed.images_per_second:.1f} img/s" in said and "up to 90 % slower is allowed" in said


def test_a_flipped_byte_is_refused_before_anything_is_loaded(copied: Give, verify: Verify, measured: list[str]):
    folder = copied("clip-image")
    for name in sorted(path.name for path in folder.iterdir()):
        path = folder / name
        before = path.read_bytes()
        for place in (0, len(before) // 2, len(before) - 1):
            path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
            status, said = verify(folder)
            assert status == NOT_RUN and "error: " in said, f"{name}, byte {place}: {said}"
        path.write_bytes(before)
    assert not measured
    assert verify(folder, *SLOW)[0] == HOLDS


def test_another_machine_or_version_is_refused_with_a_sentence_each(copied: Give, verify: Verify, measured: list[str]):
    folder = copied("clip-text")
    bundle = read(folder)
    gpu = Machine(device="cuda", gpu="NVIDIA H200", compute_capability="9.0", driver="580.65")
    for fields, told in (
        ({"machine": msgspec.structs.replace(bundle.machine, cpu="Other CPU")}, "was measured on Other CPU with"),
        ({"machine": msgspec.structs.replace(bundle.machine, cores=96)}, "with 96 cores, and this machine has"),
        ({"machine": gpu}, "onnxruntime does not run here"),
        ({"built_with": {"onnxruntime": "1.19.0"}}, "it was built with onnxruntime 1.19.0, and here is 1."),
        ({"built_with": {}}, "it was built with onnxruntime none, and here is 1."),
        ({"built_with": {**bundle.built_with, "tensorrt": "8.6.1"}}, "built with tensorrt 8.6.1, and here is none"),
    ):
        status, said = verify(changed(folder, **{**msgspec.structs.asdict(bundle), **fields}))
        assert status == NOT_RUN and told in said, said
        if "machine" not in fields or fields["machine"] is not gpu:
            assert "--rebuild builds, times and judges it here" in said
    assert not measured


def test_other_weights_and_other_data_are_refused(copied: Give, verify: Verify):
    folder = copied("clip-text")
    bundle = read(folder)
    origin = msgspec.structs.replace(bundle.origin, weights_sha256="ab" * 32)
    status, said = verify(changed(folder, origin=origin))
    assert status == NOT_RUN and "judged against its own weights" in said
    origin = msgspec.structs.replace(bundle.origin, evaluation_images=5000)
    status, said = verify(changed(folder, origin=origin))
    assert status == NOT_RUN and "judged on 5000 items (shapes), and here are 64" in said


def test_a_bundle_that_boasts_fails(copied: Give, verify: Verify):
    folder = copied("clip-text")
    bundle = read(folder)
    speed = msgspec.structs.replace(bundle.speed, images_per_second=100 * bundle.speed.images_per_second)
    status, said = verify(changed(folder, speed=speed), *SLOW)
    assert status == DOES_NOT and "FAILED: the speed is not reproduced: 9" in said
    metrics = (msgspec.structs.replace(bundle.metrics[0], low=0.999), *bundle.metrics[1:])
    status, said = verify(changed(folder, speed=bundle.speed, metrics=metrics), *SLOW)
    assert status == DOES_NOT and f"the accuracy is not reproduced: {metrics[0].name}" in said
    status, said = verify(changed(folder, metrics=bundle.metrics[:1]), *SLOW)
    assert status == DOES_NOT and f"the bundle does not say its {bundle.metrics[1].name}" in said


@pytest.mark.parametrize("model", ["yolov8n", "clip-image"])
def test_for_another_machine_it_is_built_again_judged_and_written(copied: Give, verify: Verify, model: str):
    folder = copied(model)
    bundle = read(folder)
    there = msgspec.structs.replace(bundle.machine, cpu="Other CPU")
    changed(folder, machine=there, built_with={"onnxruntime": "1.19.0"})
    status, said = verify(folder, "--rebuild")
    assert status == HOLDS and "gate: passed" in said, said
    output = folder.with_name(f"{model}-rebuilt")
    assert f"written: {output}" in said
    made = read_bundle(output).bundle
    assert (made.machine, made.built_with) == (bundle.machine, bundle.built_with)
    assert made.metrics == bundle.metrics and made.gate == bundle.gate
    assert made.origin.rebuilt_from == hashlib.sha256((folder / DESCRIPTION).read_bytes()).hexdigest()
    assert {each.path: each.roles for each in made.files} == {each.path: each.roles for each in bundle.files}
    assert verify(output, *SLOW)[0] == HOLDS


def test_a_graph_that_was_exchanged_is_found_by_its_answers(copied: Give, verify: Verify):
    """With all hashes made to agree: what a forger could do."""
    folder = copied("clip-text")
    graph = onnx.load(folder / "model.onnx")
    largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    noise = np.random.default_rng(0).normal(size=tuple(largest.dims)).astype(np.float32)
    largest.CopyFrom(numpy_helper.from_array(noise, largest.name))
    onnx.save(graph, folder / "model.onnx")
    write(folder, read(folder))
    status, said = verify(folder, *SLOW)
    assert status == DOES_NOT and "the accuracy is not reproduced" in said
    status, said = verify(folder, "--rebuild")
    assert status == DOES_NOT and "FAILED: the engine that was built here fails its gate: at least 98 %" in said
    assert not folder.with_name("clip-text-rebuilt").exists()


def test_without_a_graph_nothing_is_built(copied: Give, verify: Verify, measured: list[str]):
    folder = copied("clip-text")
    bundle = read(folder)
    files = tuple(
        msgspec.structs.replace(each, roles=tuple(role for role in each.roles if role != "graph"))
        for each in bundle.files
    )
    status, said = verify(changed(folder, files=files), "--rebuild")
    assert status == NOT_RUN and "has no graph to build from" in said and not measured


def test_what_is_no_bundle_is_refused(tmp_path: Path, verify: Verify):
    status, said = verify(tmp_path / "nowhere")
    assert status == NOT_RUN and f"{tmp_path / 'nowhere' / DESCRIPTION}: No such file" in said


def test_a_bundle_holds_its_readme_and_its_sums(shipped: Give):
    folder = shipped("yolov8n")
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.onnx", "yolo.onnx", DESCRIPTION, README, SUMS}
    sums = dict(reversed(line.split("  ")) for line in (folder / SUMS).read_text().splitlines())
    assert sums == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names - {SUMS}}
    text = (folder / README).read_text(encoding="utf-8")
    bundle: Bundle = read(folder)
    assert 'YOLO("yolo.onnx", task="detect")' in text and f"{bundle.metrics[0].value:.4f}" in text
    assert 'InferenceSession("model.onnx", providers=["CPUExecutionProvider"])' in text
