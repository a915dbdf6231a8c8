"""An engine behind a server: sizes, padding and answers; and a request that another process may load."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures import ROOT
from fixtures.cache.shared_results import SessionResults
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import Suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.loaded_engine import LoadedEngine
from fixtures.serving.triton.batched_engine import MAX_BATCH, BatchedEngine, EngineRequest
from tests.helpers.runs import raw_options

EXAMPLE = torch.zeros(1, 3)


class Recording:
    """[n, 3] → [n, 3], doubled, in one buffer for all answers, as engines with buffers of their own have it."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []
        self._buffer = torch.empty(MAX_BATCH, 3)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(inputs.clone())
        return torch.mul(inputs, 2, out=self._buffer[: len(inputs)])

    def synchronize(self) -> None: ...


def loaded(engine: Recording, dynamic: bool) -> LoadedEngine:
    case = Case("toy", "zero-shot", "toy", "fp32", 1 if dynamic else MAX_BATCH)
    parts: Any = (case, None, engine, None, None, dynamic, 0.0, 0.0)
    return LoadedEngine(*parts)


def images(count: int) -> torch.Tensor:
    return torch.arange(3.0 * count).reshape(count, 3)


@pytest.mark.parametrize(("dynamic", "sizes"), [(True, [1, 2, 4, 8]), (False, [8])])
def test_every_size_is_asked_before_anybody_waits(dynamic: bool, sizes: list[int]) -> None:
    engine = Recording()
    BatchedEngine(loaded(engine, dynamic), "cpu", EXAMPLE)

    assert [len(inputs) for inputs in engine.seen] == sizes


@pytest.mark.parametrize(("dynamic", "size"), [(True, 4), (False, 8)])
def test_requests_run_as_one_batch_and_what_is_missing_is_the_last_image(dynamic: bool, size: int) -> None:
    engine = Recording()
    batched = BatchedEngine(loaded(engine, dynamic), "cpu", EXAMPLE)
    given = images(3)

    answer = batched([given[:1], given[1:]])

    torch.testing.assert_close(answer, given * 2)
    torch.testing.assert_close(engine.seen[-1], torch.cat([given, given[-1:].expand(size - 3, 3)]))
    assert batched.where == "the CPU"


def test_more_images_than_a_batch_are_answered_in_parts_that_the_next_call_leaves_alone() -> None:
    batched = BatchedEngine(loaded(Recording(), True), "cpu", EXAMPLE)

    answer = batched.answer(images(11))
    batched([torch.full((8, 3), -1.0)])

    torch.testing.assert_close(answer, images(11) * 2)


def test_another_process_loads_the_engine_that_was_built(tmp_path: Path, engine_cache: Path) -> None:
    options = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(engine_cache)), ROOT)
    workbench = open_workbench(options, Suite("embedded", "for tests"), print, SessionResults())
    try:
        built = workbench.engines.load(Case("clip-image", "zero-shot", "pytorch", "fp32", 1))
        (example,) = workbench.engines.inputs.first(built.model, 1, 1)
    finally:
        workbench.close()
    request = EngineRequest(options, workbench.sources.suite, built.case, built.artifact.path, tmp_path)
    request.write(tmp_path / "request.pickle")

    found = EngineRequest.read(tmp_path / "request.pickle").load()

    assert found.case == built.case and found.artifact.path == built.artifact.path
    torch.testing.assert_close(
        BatchedEngine(found, "cpu", example).answer(example), built.engine(example), rtol=0, atol=0
    )
