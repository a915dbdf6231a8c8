"""`python -m tests.experiments.bare_loop --engines DIR A/rows.jsonl …`: does the suite time what a loop times?

Every TensorRT plan that the records timed is found in the engine cache DIR by its hash, and timed again by a loop that
shares no code with the suite: events around one call, which is launched while the card still waits, on the same
images in turns.

Every plan of every round is timed in a process of its own, as the suite does. One plan loaded again and again in one
process had two levels on an H100: YOLOv8n as a CUDA graph took 1.02 or 1.06 ms in INT8 and 1.09 or 1.14 ms in FP16
(1 and 4 of 9 loads had the faster level), with this loop and with the suite's own code, for images and for noise;
zeros lay between. The plan that a process loaded first had the faster one, in both processes that were tried.

The bar holds where the median over the rounds is within 3 % of the median over the records, for every plan.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from reports.analysis.cases import summarize
from reports.errors import ReportError
from reports.record.store import last_session, read_rows

MOST_APART = 0.03
PLANS = ("tensorrt", "tensorrt-cuda-graph", "tensorrt-dynamic", "trtexec", "ultralytics-engine")
GRAPHS = ("tensorrt-cuda-graph",)
WARM_CALLS = 5
WARM_SECONDS = 0.5
TIMED_SECONDS = 0.5
HIGHEST_CLOCK_HZ = 2.5e9
MOST_INPUTS = 64  # as many as the suite takes turns with
INPUT_BYTES = 128 * 2**20  # together more than any card's last-level cache (60 MB on an H200)


@dataclass(frozen=True)
class Plan:
    """An engine file, how it is run, for which batch, and the file of its inputs."""

    case: str
    model: str
    path: str
    batch: int
    graph: bool
    ultralytics: bool
    inputs: str = ""


@dataclass(frozen=True)
class Compared:
    """Median device times of one plan, in milliseconds: the suite's over its runs, the loop's over its rounds."""

    case: str
    suite_ms: float
    bare_ms: tuple[float, ...]

    @property
    def apart(self) -> float:
        """The suite's median over the loop's, minus 1."""
        return self.suite_ms / statistics.median(self.bare_ms) - 1


def timed_plans(records: Sequence[Path], engines: Path) -> tuple[dict[str, float], list[Plan]]:
    """The suite's median of each case that ran a plan, and the plans; a `ReportError` where one is not in `engines`."""
    known = {}
    for manifest in engines.glob("*/manifest.json"):
        told = json.loads(manifest.read_text(encoding="utf-8"))
        known[told["sha256"]] = manifest.with_name(told["file"])
    medians: dict[str, list[float]] = {}
    plans: dict[str, Plan] = {}
    for record in records:
        rows = last_session(read_rows(record))
        for case in summarize(rows):
            if case.backend in PLANS and case.latency is not None:
                medians.setdefault(case.id, []).append(case.latency.p50_ms)
        for row in rows:
            if row["kind"] != "case" or row["case"]["id"] not in medians or row["question"] != "speed":
                continue
            described, sha256 = row["case"], row["values"]["engine_sha256"]
            if sha256 not in known:
                raise ReportError(
                    f"{record}: the engine of {described['id']} ({sha256[:12]}…) is not in {engines}",
                    hint="name the engine cache of that run with --engines",
                )
            backend = described["backend"]
            plans[described["id"]] = Plan(
                described["id"],
                described["model"],
                str(known[sha256]),
                described["batch"],
                backend in GRAPHS,
                backend == "ultralytics-engine",
            )
    return {name: statistics.median(found) for name, found in medians.items()}, list(plans.values())


def prepare(plans: Sequence[Plan], session: Mapping[str, Any], folder: Path) -> list[Plan]:
    """The plans with their inputs, which are those that the suite takes: written to `folder`, [n, batch, …] a file."""
    import numpy as np

    from fixtures.assets.loader import SuiteAssets
    from fixtures.plan.options import Options
    from fixtures.plan.suite import choose_suite
    from tests.helpers.runs import raw_options

    named = ("yolo", "clip", "coco_images", "coco_annotations", "calibration_images")
    raw = raw_options(**{name: session["settings"][name] for name in named})
    sources = SuiteAssets(choose_suite(Options.from_values(raw, Path.cwd()), Path.cwd()))
    found = []
    for plan in plans:
        path = folder / f"{plan.model}-{plan.batch}.npy"
        if not path.exists():
            model = sources.model(plan.model)
            items = cycle(sources.evaluation_items(model))
            first = model.prepare(list(islice(items, plan.batch))).numpy()
            count = min(MOST_INPUTS, max(2, INPUT_BYTES // first.nbytes + 1))
            rest = [model.prepare(list(islice(items, plan.batch))).numpy() for _ in range(count - 1)]
            np.save(path, np.stack([first, *rest]))
        found.append(replace(plan, inputs=str(path)))
    return found


def bare_round(plans: Sequence[Plan], loop: Callable[[Plan], float] | None = None) -> Mapping[str, float]:
    """Median milliseconds of every plan, each in a process of its own; a `ReportError` where one ends untimely."""
    context = multiprocessing.get_context("forkserver")
    # Imported once. None of them touches the card before it is asked to.
    context.set_forkserver_preload(["numpy", "torch", "tensorrt"])
    found = {}
    for plan in plans:
        try:
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                found[plan.case] = pool.submit(loop or _time, plan).result()
        except BrokenProcessPool:
            raise ReportError(f"the loop over {plan.path} ended its process", hint="see what it says above") from None
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 where the bar holds, 1 where it does not, 2 where nothing can be compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, nargs="+", metavar="rows.jsonl")
    parser.add_argument("--engines", type=Path, required=True, help="the engine cache of these runs")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("ask for one round at least")
    try:
        suite, plans = timed_plans(options.records, options.engines)
        if not plans:
            raise ReportError("none of these records timed a TensorRT plan", hint="name the record of a run on a card")
        session = last_session(read_rows(options.records[-1]))[0]
        with tempfile.TemporaryDirectory() as folder:
            ready = prepare(plans, session, Path(folder))
            rounds = [bare_round(ready) for _ in range(options.rounds)]
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    compared = [Compared(plan.case, suite[plan.case], tuple(each[plan.case] for each in rounds)) for plan in plans]
    width = max(len(each.case) for each in compared)
    for each in sorted(compared, key=lambda one: -abs(one.apart)):
        shown = "  ".join(f"{median:8.4f}" for median in each.bare_ms)
        print(f"{each.case:{width}}  suite {each.suite_ms:8.4f}  loop {shown} ms  {each.apart:+7.2%}")
    within = sum(abs(each.apart) <= MOST_APART for each in compared)
    held = within == len(compared)
    print(f"{within} of {len(compared)} plans within {MOST_APART:.0%} of a bare loop: {'held' if held else 'NOT held'}")
    return 0 if held else 1


def _time(plan: Plan) -> float:
    """Nothing of the suite below: TensorRT, PyTorch's events, and the same tensors in and out (FP32 or int64)."""
    import numpy as np
    import tensorrt as trt
    import torch

    content = Path(plan.path).read_bytes()
    if plan.ultralytics:
        content = content[4 + int.from_bytes(content[:4], "little") :]
    engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(content)
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    source = next(name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT)
    sinks = [name for name in names if name != source]
    batches = np.load(plan.inputs)
    context.set_input_shape(source, batches.shape[1:])
    types = {trt.float32: torch.float32, trt.float16: torch.float16, trt.int32: torch.int32}
    if hasattr(trt, "int64"):
        types[trt.int64] = torch.int64
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        inputs = [torch.from_numpy(batch).cuda() for batch in batches]
        wanted = types[engine.get_tensor_dtype(source)]
        outputs = [
            torch.empty(
                tuple(context.get_tensor_shape(sink)), dtype=types[engine.get_tensor_dtype(sink)], device="cuda"
            )
            for sink in sinks
        ]
        for sink, output in zip(sinks, outputs, strict=True):
            context.set_tensor_address(sink, output.data_ptr())
        kept: list[torch.Tensor] = []

        def call(batch: torch.Tensor) -> list[torch.Tensor]:
            taken = batch.to(wanted)
            kept[:] = [taken]
            context.set_tensor_address(source, taken.data_ptr())
            context.execute_async_v3(stream.cuda_stream)
            return [output.float() for output in outputs]

        calls = [lambda batch=batch: call(batch) for batch in inputs]
        if plan.graph:
            calls = [_recorded(torch, each, stream) for each in calls]
        for _ in range(WARM_CALLS):
            calls[0]()
        stream.synchronize()
        before = time.perf_counter()
        calls[0]()
        # Three times what the launches took, at no card's clock less than half of it.
        cycles = int(3 * (time.perf_counter() - before) * HIGHEST_CLOCK_HZ) + 100_000
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        samples: list[float] = []
        spent_ms, number = 0.0, 0
        while spent_ms < 1e3 * (WARM_SECONDS + TIMED_SECONDS):
            torch.cuda._sleep(cycles)
            start.record()
            calls[number % len(calls)]()
            end.record()
            end.synchronize()
            milliseconds = start.elapsed_time(end)
            spent_ms, number = spent_ms + milliseconds, number + 1
            if spent_ms > 1e3 * WARM_SECONDS:
                samples.append(milliseconds)
    return statistics.median(samples)


def _recorded(torch: Any, call: Any, stream: Any) -> Any:  # torch is imported where there is a card
    for _ in range(3):
        call()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        kept = call()
    return lambda: (graph.replay(), kept)


if __name__ == "__main__":
    sys.exit(main())
