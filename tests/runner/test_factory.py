"""What a workbench decides for its process when it is opened."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import HOST_THREADS, open_workbench, timing_cache_name
from tests.helpers.runs import raw_options


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(("device", "threads"), [("cpu", 3), ("cuda", HOST_THREADS)])
def test_the_host_of_a_card_is_left_to_others(device: str, threads: int, tmp_path: Path):
    chosen = Options.from_values(raw_options(device=device, engine_cache=str(tmp_path)), tmp_path)
    open_workbench(chosen, choose_suite(chosen, tmp_path), print)
    assert torch.get_num_threads() == threads


def test_every_card_has_timings_of_its_own(monkeypatch: pytest.MonkeyPatch):
    assert timing_cache_name("cpu") == "timings-cpu.cache"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA GeForce RTX 2080 Ti")
    assert timing_cache_name("cuda") == "timings-nvidia-geforce-rtx-2080-ti.cache"
