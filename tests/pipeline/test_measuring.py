"""The speed of a real pipeline: its stages and its throughput are of the same seconds."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fixtures import ROOT
from fixtures.backends.onnxrt import cpu
from fixtures.pipeline.factory import open_pipeline
from fixtures.pipeline.measuring.clock import STAGES, StageClock
from fixtures.pipeline.measuring.measure import cores, measure_speed
from fixtures.pipeline.spec import EngineName, PipelineSpec
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import open_workbench
from fixtures.timing.sampler import SamplerSettings
from reports.analysis.pipeline import SUM_TOLERANCE, sum_of_stages
from tests.helpers.runs import raw_options

ORT = EngineName("onnxruntime", "fp32")
SERIAL = PipelineSpec("pil", "fast", ORT, ORT, "batched", batch=4)
QUICK = replace(SamplerSettings.within(0.5), min_samples=4, window=2, warmup_min_s=0.0, min_measured_s=0.0)


@pytest.fixture
def workbench(engine_cache: Path):
    options = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(engine_cache)), ROOT)
    return open_workbench(options, choose_suite(options, ROOT), lambda _: None)


@pytest.mark.parametrize("overlap", ["serial", "threads"])
def test_the_stages_of_a_pipeline_add_up_and_those_of_a_serial_one_are_its_throughput(overlap, workbench, drawn_bytes):
    spec = replace(SERIAL, overlap=overlap)
    with open_pipeline(spec, workbench, "cpu", labels=("a photo of a red circle",)) as pipeline:
        # A machine with other work may take its core away between two stages, though hardly three times.
        for _ in range(3):
            speed = measure_speed(pipeline, drawn_bytes, QUICK)
            if abs(sum_of_stages(speed) - 1) <= SUM_TOLERANCE:
                break
    assert [stage.name for stage in speed.stages] == list(STAGES) and speed.photos == 4 * len(speed.samples_ms)
    assert abs(sum_of_stages(speed) - 1) <= SUM_TOLERANCE
    if overlap == "serial":
        assert speed.whole_ms == pytest.approx(1000 / speed.photos_per_second)


def test_a_clock_is_read_while_it_goes_on():
    clock = StageClock(lambda: None)
    with clock.stage("nms"):
        pass
    first = clock.reading()
    with clock.stage("nms"):
        sum(range(1000))
    passed = clock.reading().since(first)
    assert passed.wall_s["nms"] == pytest.approx(clock.wall_s["nms"] - first.wall_s["nms"])
    assert first.wall_s["nms"] < clock.wall_s["nms"] and passed.wall_s["decode"] == 0.0


def test_engines_of_a_pipeline_do_not_spin_between_calls(workbench, monkeypatch):
    loaded = []
    real = cpu.open_session

    def opened(path, optimised=None, spin=True):
        if optimised is None:  # not to look into what is being built
            loaded.append(spin)
        return real(path, optimised, spin)

    monkeypatch.setattr(cpu, "open_session", opened)
    with open_pipeline(SERIAL, workbench, "cpu", labels=("a photo of a red circle",)):
        pass
    assert loaded == [False, False] and workbench.engines.options.spin


@pytest.mark.skipif(cores() < 2, reason="a session of one thread has no others that could spin")
def test_threads_that_do_not_spin_leave_the_cores_to_others(detector_graph, monkeypatch):
    """Processor time of 40 ms after a call, in which nobody asks for anything."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def spent_s(spin: bool) -> float:
        engine = cpu.OrtEngine(cpu.open_session(detector_graph, spin=spin))
        waits = []
        for _ in range(3):
            engine(torch.zeros(1, 3, 640, 640))
            start = time.process_time()
            time.sleep(0.04)
            waits.append(time.process_time() - start)
        return min(waits)

    assert spent_s(spin=False) < 0.005 < spent_s(spin=True)
