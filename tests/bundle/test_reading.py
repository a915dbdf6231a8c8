"""What is refused of a bundle before anything of it is loaded: each fault planted in a real one."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fixtures.errors import BenchError
from fixtures.runner.bundled_engine import labels_of
from fixtures.runner.bundles import open_bundle, refuse_foreign_parts
from reports.bundle.format import DESCRIPTION, FORMAT, SUMS, BundledFile, Role
from reports.bundle.machine import misfits
from reports.bundle.reading import OpenBundle, checksums, read_bundle
from reports.errors import ReportError
from tests.bundle.conftest import read, write

Give = Callable[[str], Path]


def described(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The bundle with its JSON changed, and its sums made to agree."""
    content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    change(content)
    (folder / DESCRIPTION).write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_shipped_bundle_is_read(shipped: Give):
    opened = read_bundle(shipped("clip-image"))
    assert opened.engine == opened.path(Role.GRAPH) == shipped("clip-image") / "model.onnx"
    assert opened.path(Role.ULTRALYTICS) is None
    labels = labels_of(opened)
    assert labels.text_embeddings.shape[0] == len(labels.prompts) and labels.prompts[0].startswith("a photo of")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content.update(format=FORMAT + 1), f"its format is {FORMAT + 1}"),
        (lambda content: content.pop("gate"), "missing required field `gate`"),
        (lambda content: content.update(hook="rm -rf /"), "unknown field `hook`"),
        (lambda content: content["case"].update(batch="8"), "Expected `int`, got `str`"),
        (lambda content: content["case"].update(model="../../home/me/.ssh"), "matching regex"),
        (lambda content: content["case"].update(model=".."), "matching regex"),
        (lambda content: content["origin"].update(advice="\x1b]0;title\x07"), "matching regex"),
        (lambda content: content["case"].update(batch=1 << 40), "Expected `int` <= 1024"),
        (lambda content: content["files"][0].update(sha256="ab"), "matching regex"),
        (lambda content: content["files"][0].update(roles=["script"]), "Invalid enum value 'script'"),
        (lambda content: content["files"][0].update(path="../model.onnx"), "is none of a bundle's own"),
        (lambda content: content["files"][0].update(path="/etc/passwd"), "is none of a bundle's own"),
        (lambda content: content["files"][0].update(path="a//b"), "is none of a bundle's own"),
        (lambda content: content["files"][0].update(path="a\\b"), "is none of a bundle's own"),
        (lambda content: content["files"][0].update(path="gone.onnx"), "gone.onnx: No such file"),
        (lambda content: content["files"][0].update(path=DESCRIPTION), "names its own description"),
        (lambda content: content["files"].append(content["files"][0]), "names a file twice"),
        (lambda content: content["files"][0].update(roles=["graph"]), "has no engine, or several"),
        (lambda content: content["files"][0].update(size_bytes=7), f"bytes, and {DESCRIPTION} says 7"),
        (lambda content: content["files"][0].update(sha256="ab" * 32), "has changed: its SHA-256"),
        (lambda content: content["interface"].update(input_shape=[3, 1 << 30, 1 << 30]), "its input has the shape"),
        (lambda content: content["speed"].update(images_per_second=1e9), "the sums do not agree"),
    ],
)
def test_a_description_that_cannot_be_is_refused(copied: Give, change: Callable[[dict[str, Any]], Any], told: str):
    with pytest.raises(ReportError) as refused:
        read_bundle(described(copied("clip-text"), change))
    assert told in refused.value.what


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{}", b'{"format": NaN}', b"[" * 100_000, b" " * (1 << 23)])
def test_what_is_no_description_is_refused(copied: Give, content: bytes):
    folder = copied("clip-text")
    (folder / DESCRIPTION).write_bytes(content)
    with pytest.raises(ReportError, match=DESCRIPTION):
        read_bundle(folder)


def test_links_pipes_and_files_without_a_name_are_refused(copied: Give, tmp_path: Path):
    folder = copied("clip-text")
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(ReportError, match="is a link"):
        read_bundle(folder)
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")  # to open it would wait for ever
    with pytest.raises(ReportError, match="is no plain file"):
        read_bundle(folder)
    (folder / "model.onnx").unlink()
    (tmp_path / "elsewhere.onnx").rename(folder / "model.onnx")
    (folder / "weights.bin").write_bytes(b"what a graph might point to")
    with pytest.raises(ReportError, match=f"holds weights.bin, which {DESCRIPTION} does not name"):
        read_bundle(folder)
    (folder / "weights.bin").rename(folder / ".DS_Store")
    read_bundle(folder)


def test_a_folder_that_is_a_link_is_refused(copied: Give, tmp_path: Path):
    folder = copied("clip-text")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "plan").write_bytes(b"plan")
    (folder / "tensorrt").symlink_to(tmp_path / "parts", target_is_directory=True)
    bundle = read(folder)
    part = BundledFile(path="tensorrt/plan", roles=(Role.PART,), sha256="ab" * 32, size_bytes=4)
    write(folder, msgspec.structs.replace(bundle, files=(*bundle.files, part)))
    with pytest.raises(ReportError, match="tensorrt is a link"):
        read_bundle(folder)


def small_graph(*initializers: TensorProto, op: str = "Identity") -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    node = helper.make_node(op, ["x"], ["y"], "node")
    return helper.make_model(helper.make_graph([node], "graph", values[:1], values[1:], list(initializers)))


def test_a_graph_that_points_to_other_files_is_refused(copied: Give, tmp_path: Path):
    path = tmp_path / "graph.onnx"
    onnx.save(small_graph(numpy_helper.from_array(np.ones(1, np.float32), "w")), path)
    refuse_foreign_parts(path)
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="../../etc/passwd")
    inner = helper.make_node("If", ["x"], ["y"], "if", then_branch=small_graph(outside).graph)
    nested = small_graph()
    nested.graph.node.append(inner)
    for graph, told in (
        (small_graph(outside), "the tensor 'w' lies in another file"),
        (nested, "the tensor 'w' lies in another file"),
        (small_graph(op="EPContext"), "the node 'node' names a compiled engine"),
    ):
        path.write_bytes(graph.SerializeToString())
        with pytest.raises(BenchError, match=told):
            refuse_foreign_parts(path)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(BenchError, match="is no ONNX graph"):
        refuse_foreign_parts(path)
    folder = copied("clip-text")
    (folder / "model.onnx").write_bytes(small_graph(outside).SerializeToString())
    write(folder, read(folder))
    with pytest.raises(BenchError, match="lies in another file"):
        open_bundle(folder)


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.mark,)


def test_a_pickle_in_the_place_of_the_labels_is_refused_and_not_run(copied: Give, tmp_path: Path):
    folder, mark = copied("clip-image"), tmp_path / "ran"
    path = folder / "labels.safetensors"
    with path.open("wb") as file:
        np.save(file, np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    for content in (pickle.dumps(Bomb(mark)), path.read_bytes()):
        path.write_bytes(content)
        write(folder, read(folder))
        with pytest.raises(BenchError, match="holds no labels"):
            labels_of(open_bundle(folder))
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists(), "the bomb is no bomb"


def test_an_engine_that_this_version_does_not_know_is_refused(copied: Give):
    folder = copied("clip-text")
    case = msgspec.structs.replace(read(folder).case, backend="os.system")
    write(folder, msgspec.structs.replace(read(folder), case=case))
    with pytest.raises(BenchError, match="none of this version's engines"):
        open_bundle(folder)


def test_of_a_gpu_the_architecture_the_driver_and_every_version_count(shipped: Give):
    bundle = read(shipped("yolov8n"))
    h200 = msgspec.structs.replace(
        bundle.machine, device="cuda", gpu="NVIDIA H200", compute_capability="9.0", driver="580.65.06"
    )
    built = {"tensorrt": "10.3.0", "typing": "flags", "builder_level": 3}
    on_h200 = msgspec.structs.replace(bundle, machine=h200, built_with=built)
    # Of a GPU's engine the host's CPU decides nothing.
    assert misfits(on_h200, msgspec.structs.replace(h200, cpu="Other CPU", cores=1), built) == ()
    turing = msgspec.structs.replace(h200, gpu="NVIDIA GeForce RTX 2080 Ti", compute_capability="7.5")
    for machine, versions, told in (
        (turing, built, "was built for NVIDIA H200 (compute capability 9.0), and this machine has NVIDIA GeForce RTX"),
        (msgspec.structs.replace(h200, compute_capability="9.1"), built, "(compute capability 9.1)"),
        (msgspec.structs.replace(h200, driver="550.1"), built, "driver 580.65.06, and here is 550.1"),
        (h200, {**built, "\x1b[2J": "\r"}, "it was built with ?[2J none, and here is ?"),
        (h200, {**built, "tensorrt": "10.4.0"}, "it was built with tensorrt 10.3.0, and here is 10.4.0"),
        (bundle.machine, built, "the engine is for a GPU (NVIDIA H200), and is to run on the CPU"),
    ):
        (sentence,) = misfits(on_h200, machine, versions)
        assert told in sentence


def test_the_sums_are_those_of_sha256sum(shipped: Give):
    folder = shipped("clip-text")
    opened: OpenBundle = read_bundle(folder)
    assert checksums(folder, opened.bundle) == (folder / SUMS).read_bytes()
    assert opened.engine_sha256 == opened.bundle.files[0].sha256
