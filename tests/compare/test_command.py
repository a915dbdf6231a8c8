"""The comparison as a command, on real engines: its words, its JSON, and what it refuses."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from fixtures.backends import registry
from fixtures.cache.engine_cache import say_nothing
from fixtures.compare import command, paired_run
from fixtures.compare.command import as_text, main, sentence
from fixtures.compare.load_order import LoadOrder, combined
from fixtures.compare.paired_run import time_in_turns
from fixtures.gpu.monitor import Monitored
from fixtures.gpu.telemetry import GpuSpec, summarize
from fixtures.hashing import sha256_of
from fixtures.isolation.pool import WorkerPool
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.timing import Timing
from fixtures.timing.paired import AbbaSettings, Comparison
from fixtures.timing.sampler import SamplerSettings
from fixtures.timing.statistics import Interval
from tests.helpers.faulty_backend import ROOT
from tests.helpers.runs import raw_options

EMBEDDED = ("--suite", "embedded", "--device", "cpu", "--batch", "1")
QUICK = ("--seconds", "0.3", "--attempts", "1")
# The fewest quadruples of which an interval can be given, and nothing is waited for.
BRIEF = partial(
    AbbaSettings, min_quadruples=6, settle_s=0.0, warmup=SamplerSettings(warmup_min_s=0.1, warmup_max_s=0.5)
)


@pytest.fixture(scope="module")
def cache(engine_cache: Path) -> str:
    return str(engine_cache)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that ask how something is compared and not how long it takes."""
    monkeypatch.setattr(command, "AbbaSettings", BRIEF)


def found(verdict: str, value: float, low: float, high: float) -> dict:
    """What a comparison of two engines gives."""
    sides = [
        {"case": case, "median_ms": 2.0, "images_per_second": 500.0, "samples_ms": [2.0] * 8} for case in ("one", "two")
    ]
    return {
        "verdict": verdict,
        "cause": "",
        "time_ratio": {"value": value, "low": low, "high": high},
        "threshold": 0.01,
        "attempts": 3,
        "quadruples": 20,
        "quantity": "end-to-end latency",
        "instrument": "host clock",
        "steady": True,
        "sides": sides,
        "load_orders": [],
    }


def test_two_backends_are_built_timed_in_turns_and_judged(cache: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    file = tmp_path / "answer.json"
    call = ("pytorch", "onnxruntime", "--model", "clip-image", "--engine-cache", cache, "--json", str(file))
    assert main([*call, *EMBEDDED, *QUICK]) == 0
    printed = capsys.readouterr().out
    answer = json.loads(file.read_text())
    assert answer["verdict"] in ("faster", "slower", "same", "unclear")
    assert printed.startswith(sentence(answer))
    assert [side["case"] for side in answer["sides"]] == [
        "clip-image-pytorch-fp32-b1",
        "clip-image-onnxruntime-fp32-b1",
    ]
    assert answer["time_ratio"]["low"] <= answer["time_ratio"]["value"] <= answer["time_ratio"]["high"]
    for side in answer["sides"]:
        assert len(side["samples_ms"]) % answer["quadruples"] == 0 and min(side["samples_ms"]) > 0
        assert side["images_per_second"] == pytest.approx(1000 / side["median_ms"])
    assert len({side["engine_sha256"] for side in answer["sides"]}) == 2
    assert answer["environment"]["device"] == "cpu"
    assert (answer["quantity"], answer["instrument"]) == ("end-to-end latency", "host clock")
    assert [each["load_order"] for each in answer["load_orders"]] == ["AB"] and "load orders" not in printed


@pytest.mark.usefixtures("brief")
def test_each_load_order_is_timed_in_a_process_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture):
    file = tmp_path / "answer.json"
    call = ("pytorch", "onnxruntime", "--model", "clip-text", "--engine-cache", str(tmp_path / "e"), "--rebuild")
    assert main([*call, "--json", str(file), *EMBEDDED, *QUICK], load_orders=("AB", "BA")) == 0
    printed = capsys.readouterr()
    # Built in a process before them, also where all is to be built again: they time the same engines.
    told = [line.partition(": ")[2] or line for line in printed.err.splitlines()]
    assert [line for line in told if line == "building" or "loaded first" in line] == [
        "building",
        "building",
        "  … timed in turns, A loaded first",
        "  … timed in turns, B loaded first",
    ]
    answer = json.loads(file.read_text())
    orders = answer["load_orders"]
    assert [each["load_order"] for each in orders] == ["AB", "BA"]
    assert len({each["process_id"] for each in orders} | {os.getpid()}) == 3
    ratios = [each["time_ratio"] for each in orders]
    assert answer["time_ratio"]["low"] == min(ratio["low"] for ratio in ratios)
    assert answer["time_ratio"]["high"] == max(ratio["high"] for ratio in ratios)
    assert answer["quadruples"] == sum(each["quadruples"] for each in orders)
    for side, parts in zip(answer["sides"], zip(*(each["sides"] for each in orders), strict=True), strict=True):
        assert len(side["samples_ms"]) == sum(part["calls"] for part in parts)
        last = side["samples_ms"][parts[0]["calls"] :]
        assert np.median(last) == pytest.approx(parts[1]["median_ms"], abs=1e-5)
    assert "with A loaded first" in printed.out and "with B loaded first" in printed.out


@pytest.mark.usefixtures("brief")
def test_a_load_order_is_the_order_in_which_a_process_loads(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Told by what the process builds on its way, as nothing lies in the cache."""
    call = ("pytorch", "onnxruntime", "--model", "clip-text", "--engine-cache", str(tmp_path / "e"))
    file = tmp_path / "answer.json"
    assert main([*call, "--json", str(file), *EMBEDDED, *QUICK], load_orders=("BA",)) == 0
    built = [line.split()[1] for line in capsys.readouterr().err.splitlines() if line.endswith(": building")]
    assert built == ["clip-text-onnxruntime-fp32-b1:", "clip-text-pytorch-fp32-b1:"]
    # The sides stay what they are.
    cases = [side["case"] for side in json.loads(file.read_text())["sides"]]
    assert cases == ["clip-text-pytorch-fp32-b1", "clip-text-onnxruntime-fp32-b1"]


@pytest.mark.parametrize("load_order", ["AB", "BA"])
def test_inputs_come_in_the_order_of_loading_and_the_turns_begin_with_a(
    load_order: LoadOrder, monkeypatch: pytest.MonkeyPatch
):
    """A comparison in which everything that happens is written down."""
    happened: list[str] = []
    clock = SimpleNamespace(name="host clock", quantity="end-to-end latency")

    class Bench:
        def load(self, case: Case, file: Path) -> SimpleNamespace:
            happened.append(f"load {file}")
            return SimpleNamespace(case=case, artifact=SimpleNamespace(sha256=str(file)))

        def instruments(self, engine: SimpleNamespace) -> list[SimpleNamespace]:
            happened.append(f"inputs {engine.artifact.sha256}")
            return [SimpleNamespace(side=engine.artifact.sha256, **vars(clock))]

        def watch(self, measure: Callable[[], Any]) -> Monitored[Any]:
            return Monitored(measure(), None, 0)

    def compared(a: SimpleNamespace, b: SimpleNamespace, _: AbbaSettings) -> Comparison:
        happened.append(f"compare {a.side} {b.side}")
        return Comparison("slower", 2.0, Interval(2.0, 2.0), np.full((1, 4), 1e-3), np.full((1, 4), 2e-3), 1, 1.0, True)

    monkeypatch.setattr(paired_run, "compare", compared)
    case = Case("clip-text", "zero-shot", "pytorch", "fp32", 1)
    bench: Any = Bench()
    bench.engines = bench.timing = bench
    answer = time_in_turns(bench, (case, case), (Path("A"), Path("B")), AbbaSettings(), load_order)
    first, second = load_order
    assert happened == [f"load {first}", f"load {second}", f"inputs {first}", f"inputs {second}", "compare A B"]
    assert [(side["engine_sha256"], side["median_ms"]) for side in answer["sides"]] == [("A", 1.0), ("B", 2.0)]
    assert answer["load_order"] == load_order


def test_what_the_card_did_meanwhile_is_told(cache: str, monkeypatch: pytest.MonkeyPatch):
    """The comparison is what is watched: here by a card that was throttled and shared."""
    quiet = summarize([], GpuSpec("NVIDIA GeForce RTX 2080 Ti", "GPU-1", "580.65", 2100, 7000, 250.0), {1}, None)
    state = replace(quiet, reasons={"SwPowerCap": 1.0}, throttled=True, foreign="1 process")

    def watch(_: Timing, measure: Callable[[], Any]) -> Monitored[Any]:
        return Monitored(measure(), state, 1)

    monkeypatch.setattr(Timing, "watch", watch)
    raw = raw_options(suite="embedded", device="cpu", batches="1", engine_cache=cache)
    options = Options.from_values(raw, ROOT)
    workbench = open_workbench(options, choose_suite(options, ROOT), say_nothing)
    case = Case("clip-text", "zero-shot", "pytorch", "fp32", 1)
    answer = time_in_turns(workbench, (case, case), (None, None), BRIEF(max_measured_s=0.3, attempts=1))
    assert answer["card"]["throttled"] and answer["throttled_retries"] == 1
    sides = [{"case": name, **side} for name, side in zip("AB", answer["sides"], strict=True)]
    told = as_text({**combined([answer]), "sides": sides})
    assert "throttled: the card was held back (SwPowerCap), also when measured again" in told
    assert "not alone: 1 process" in told


CHAOS = "tests.helpers.faulty_backend:Chaos"


def time_chaos(*asked: Any) -> Any:
    """As the process of a comparison: its catalogue has a backend that aborts where it builds."""
    registry.CATALOGUE["chaos"] = CHAOS
    os.environ["CHAOS"] = "build abort"
    return time_in_turns(*asked)


def test_an_engine_that_crashes_is_a_message_with_the_end_of_its_log(
    cache: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """In a process of their own: what goes wrong there is not the command's end."""
    monkeypatch.setitem(registry.CATALOGUE, "chaos", CHAOS)
    monkeypatch.setattr(registry, "NAMES", tuple(registry.CATALOGUE))
    monkeypatch.setattr(paired_run, "time_in_turns", time_chaos)
    call = ("pytorch", "chaos", "--model", "clip-text", "--engine-cache", cache)
    assert main([*call, *EMBEDDED, *QUICK]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    error = printed.err.split("error: ")[1]
    assert error.startswith("its process was ended by SIGABRT") and "\n  | " in error and "hint" in error
    log = Path(error.split("its log is ")[1].splitlines()[0])
    assert "in time_in_turns" in log.read_text()
    shutil.rmtree(log.parent)


def test_the_command_ends_with_the_status_of_its_answer():
    asked = [sys.executable, "-m", "fixtures.compare", "pytorch", "openvino", *EMBEDDED]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stdout and "error: unknown backend 'openvino'" in done.stderr


def hang(*_: Any) -> None:
    time.sleep(3600)


def test_an_engine_that_hangs_is_ended_at_its_limit(
    cache: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    call = WorkerPool.call

    def hangs(self: WorkerPool, name: str, _: Callable[..., Any], *arguments: Any) -> Any:
        monkeypatch.setattr(self, "_limit_s", 1.0)
        return call(self, name, hang, *arguments)

    monkeypatch.setattr(WorkerPool, "call", hangs)
    assert main(("pytorch", "pytorch", "--model", "clip-text", "--engine-cache", cache, *EMBEDDED, *QUICK)) == 2
    printed = capsys.readouterr()
    assert not printed.out and "error: no answer within 1 s: it was ended; its log is" in printed.err
    assert "--case-seconds" in printed.err
    shutil.rmtree(Path(printed.err.split("its log is ")[1].splitlines()[0]).parent)


def abort(*_: Any) -> None:
    os.abort()


def test_a_crash_in_the_second_load_order_leaves_no_answer(
    cache: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    call = WorkerPool.call

    def second_aborts(self: WorkerPool, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        return call(self, name, abort if name == "compare-BA" else function, *arguments)

    monkeypatch.setattr(WorkerPool, "call", second_aborts)
    asked = ("pytorch", "pytorch", "--model", "clip-text", "--engine-cache", cache, *EMBEDDED, *QUICK)
    assert main(asked, load_orders=("AB", "BA")) == 2
    printed = capsys.readouterr()
    assert not printed.out and "error: its process was ended by SIGABRT; its log is" in printed.err
    shutil.rmtree(Path(printed.err.split("its log is ")[1].splitlines()[0]).parent)


@pytest.mark.usefixtures("brief")
def test_each_side_may_have_a_precision_of_its_own(cache: str, tmp_path: Path):
    file = tmp_path / "answer.json"
    call = ("pytorch", "onnxruntime", "--precision", "fp32", "fp16", "--model", "clip-text", "--json", str(file))
    assert main([*call, "--engine-cache", cache, *EMBEDDED, *QUICK]) == 0
    cases = [side["case"] for side in json.loads(file.read_text())["sides"]]
    assert cases == ["clip-text-pytorch-fp32-b1", "clip-text-onnxruntime-fp16-b1"]


@pytest.mark.usefixtures("brief")
def test_saved_engines_are_loaded_and_not_built(cache: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    build = ("onnxruntime", "onnxruntime", "--model", "clip-text", "--precision", "fp32", "int8")
    assert main([*build, "--engine-cache", cache, *EMBEDDED, *QUICK]) == 0
    fp32, int8 = (next(Path(cache).glob(f"clip-text-onnxruntime-{name}-*/model.onnx")) for name in ("fp32", "int8"))
    file = tmp_path / "answer.json"
    call = (f"onnxruntime={fp32}", f"onnxruntime={int8}", "--model", "clip-text", "--json", str(file))
    assert main([*call, "--engine-cache", str(tmp_path / "empty"), *EMBEDDED, *QUICK]) == 0
    assert ": building" not in capsys.readouterr().err.split("built or loaded")[-1]
    sides = json.loads(file.read_text())["sides"]
    assert [side["engine_sha256"] for side in sides] == [sha256_of(fp32), sha256_of(int8)]
    assert sides[0]["case"] == f"clip-text-onnxruntime-fp32-b1 from {fp32}"
    assert main([f"onnxruntime={tmp_path}/gone.onnx", "onnxruntime", *EMBEDDED, *QUICK]) == 2
    assert "no engine file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pytorch", "onnxruntime", "--model", "yolov9"), "--model: unknown 'yolov9'"),
        (("pytorch", "tensorrt"), "tensorrt in fp32 cannot run"),
        (("pytorch", "onnxruntime", "--precision", "int8"), "pytorch in int8 cannot run"),
        (("pytorch", "onnxruntime", "--precision", "fp32", "fp16", "int8"), "too many"),
        (("pytorch", "onnxruntime", "--batch", "1,8"), "--batch: '1,8' is not a number"),
        (("pytorch", "openvino"), "unknown backend 'openvino'"),
        (("pytorch", "onnxruntime", "--batch", "0"), "--batch: 0 is out of range"),
        (("pytorch", "onnxruntime", "--threshold", "0"), "out of range"),
        (("pytorch", "onnxruntime", "--attempts", "0"), "out of range"),
        (("pytorch", "onnxruntime", "--seconds", "0"), "out of range"),
        (("pytorch", "onnxruntime", "--yolo", "mine.pt"), "brings its own weights"),
    ],
)
def test_a_bad_call_is_two_and_says_how_to_mend_it(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture, tmp_path: Path
):
    assert main([*EMBEDDED, "--engine-cache", str(tmp_path), *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and "hint" in printed.err
    assert not printed.out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            found("slower", 1.051, 1.044, 1.058),
            "two is slower than one: a call takes +5.1 % (95 % interval +4.4 to +5.8",
        ),
        (found("faster", 0.8, 0.79, 0.81), "two is faster than one: a call takes -20.0 %"),
        (found("same", 1.001, 0.997, 1.004), "two is as fast as one, within 1 %"),
        (found("unclear", 1.01, 0.99, 1.03), "Whether two is faster or slower than one is unclear"),
    ],
)
def test_a_verdict_is_one_plain_sentence(answer: dict, words: str):
    assert sentence(answer).startswith(words)


def test_an_unsteady_comparison_says_so():
    steady = found("same", 1.0, 0.99, 1.01)
    assert "unsteady" not in as_text(steady)
    assert "unsteady" in as_text({**steady, "steady": False})
