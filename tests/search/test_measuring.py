"""The real thing on the embedded CLIP's text tower: a block that INT8 ruins, and a budget of nothing."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.workbench import Workbench
from fixtures.search import measuring
from fixtures.search.answer import confirm_fastest
from fixtures.search.measuring import confirm, describe, measure
from fixtures.search.points import Limits, Point, allows
from fixtures.search.requests import Described, SearchRequest
from fixtures.search.space import INT8, Configuration, Setting, Space, fp32_of
from fixtures.search.strategy import explore
from fixtures.timing.paired import AbbaSettings

ASKED = SearchRequest("clip-text", "zero-shot", "cpu", seed=0, seconds=0.05)
Points = dict[Configuration, Point]
SETTING = Setting(backend="onnxruntime", batch=8)
# Two channels so much louder than the others leave these below one step of INT8.
LOUDER = 1e4
RUINED = 0


def plant(tower: nn.Module) -> nn.Module:
    """Make one block unfit for INT8 and change no answer in FP32: what it reads is scaled, its weights as much less."""
    block: Any = tower.get_submodule(f"tower.encoder.layers.{RUINED}")
    readers = {
        block.layer_norm1: [block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj],
        block.layer_norm2: [block.mlp.fc1],
    }
    with torch.no_grad():
        for norm, layers in readers.items():
            norm.weight[:2] *= LOUDER
            norm.bias[:2] *= LOUDER
            for layer in layers:
                layer.weight[:, :2] /= LOUDER
    return tower


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speed is made up here, so that nothing need be waited for to measure it well."""
    monkeypatch.setattr(measuring, "AbbaSettings", partial(AbbaSettings, settle_s=0.0))
    monkeypatch.setattr(measuring, "WARM_UP_SECONDS", 0.01)


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    cache = tmp_path_factory.mktemp("engines")
    options = Options.from_parsed({"suite": "embedded", "device": "cpu", "engine_cache": cache}, cache)
    opened = open_workbench(options, choose_suite(options, cache), lambda _: None)
    tower = opened.sources.model("clip-text")
    load: Callable[[], nn.Module] = tower._load  # type: ignore[attr-defined]
    tower._load = lambda: plant(load())  # type: ignore[attr-defined]
    return opened


@pytest.fixture(scope="module")
def described(workbench: Workbench) -> Described:
    return describe(workbench, ASKED, ["onnxruntime", "tensorrt"], ("fp32", "int8"))


@pytest.fixture(scope="module")
def space(described: Described) -> Space:
    return Space((SETTING,), described.groups, {"onnxruntime": ("fp32", "int8")}, {"onnxruntime": True})


@pytest.fixture(scope="module")
def known() -> Points:
    """What one test has measured and the next need not."""
    return {}


def searched(workbench: Workbench, space: Space, limits: Limits, known: Points) -> Points:
    """The search with true accuracy, and speed as on hardware where every group in INT8 saves a tenth."""
    points: Points = {}

    def ask(wanted: Configuration) -> Point:
        if wanted not in known:
            milliseconds = 10.0 - wanted.precisions.count(INT8)
            point = measure(workbench, ASKED, wanted, None if wanted.is_fp32 else known[fp32_of(wanted)])
            known[wanted] = msgspec.structs.replace(
                point, milliseconds=milliseconds, images_per_second=8e3 / milliseconds
            )
        points[wanted] = known[wanted]
        return points[wanted]

    explore(space, limits, ask)
    return points


def test_the_groups_are_the_blocks_of_the_tower_and_a_backend_that_cannot_run_says_why(described: Described):
    names = [f"/tower/encoder/layers.{number}" for number in range(3)]
    assert [group.name for group in described.groups] == [*names, "/projection"]
    assert [group.int8_layers for group in described.groups] == [6, 6, 6, 0]
    assert described.groups[-1].precisions == ("fp32",)
    runs, reason = [(each.mixing, each.levels) for each in described.backends], described.backends[1].reason
    assert runs == [(True, False), (False, False)]
    assert reason


def test_a_layer_that_int8_ruins_is_found_and_left_in_float(
    workbench: Workbench, space: Space, known: Points, tmp_path: Path
):
    limits = Limits(budget=0.02)
    points = searched(workbench, space, limits, known)
    alone = {
        point.configuration.precisions.index(INT8): point
        for point in points.values()
        if point.configuration.precisions.count(INT8) == 1
    }
    assert [allows(limits, alone[group]) for group in range(3)] == [False, True, True]
    (held,) = confirm_fastest(list(points.values()), limits, lambda each: confirmed(workbench, each, tmp_path))
    assert held.configuration.precisions == ("fp32", "int8", "int8", "fp32")
    assert held.kept is not None and held.kept.value >= 0.98
    assert Path(held.graph).is_file() and Path(held.engine).is_file()
    # Six layers of the block, its neighbours' in INT8 as ONNX Runtime fuses them, and the projection.
    assert points[held.configuration].layers["fp32"] >= 6 + 1


def confirmed(workbench: Workbench, wanted: Configuration, folder: Path):
    # Its true speed on a CPU says nothing of the hardware that is made up here.
    return msgspec.structs.replace(confirm(workbench, ASKED, wanted, folder), time_ratio=None)


def test_a_budget_of_nothing_gives_fp32(workbench: Workbench, space: Space, known: Points, tmp_path: Path):
    limits = Limits(budget=0.0)
    points = searched(workbench, space, limits, known)
    (held,) = confirm_fastest(list(points.values()), limits, lambda each: confirmed(workbench, each, tmp_path))
    assert held.configuration.is_fp32
    assert held.kept is not None and held.kept.value == 1.0
