"""The main job from the outside: exit status, record, report, and what happens when things go wrong."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest
from onnx import numpy_helper

from fixtures import ROOT
from fixtures.cache.engine_cache import say_nothing
from fixtures.cache.eviction import MANIFEST
from fixtures.hashing import sha256_of
from fixtures.plan.matrix import Case
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from fixtures.runner.factory import open_workbench
from fixtures.runner.stages import CaseRunner
from fixtures.timing.sampler import SamplerSettings
from reports.record.store import read_rows
from tests.helpers.embedded_job import ENGINES, MODELS, NOT_RUN, RAN, EmbeddedJob
from tests.helpers.runs import COMMAND, raw_options, run_bench, run_here, write_coco

QUICK = ("--suite", "embedded", "--measure-seconds", "0.2", "--batches", "1")
CLIP = (*QUICK, "--models", "clip-image", "--backends", "pytorch,onnxruntime", "--precisions", "fp32,int8")

# Two cells of the smallest network, for what is the run's own.
TEXT = (*QUICK, "--models", "clip-text", "--backends", "onnxruntime", "--precisions", "fp32,int8")
CLIP_RAN = tuple(f"clip-image-{engine}-b1" for engine in ENGINES)


@pytest.fixture
def cache(embedded_job: EmbeddedJob) -> Path:
    """Engines of every cell."""
    assert embedded_job.returncode == 0, embedded_job.stdout + embedded_job.stderr
    return embedded_job.engines


def _answers(output: Path) -> dict[tuple[str, str], dict]:
    rows = read_rows(output / "rows.jsonl")
    return {(row["case"]["id"], row["question"]): row for row in rows if row["kind"] == "case"}


def test_every_cell_answers_every_question(embedded_job: EmbeddedJob):
    assert embedded_job.returncode == 0, embedded_job.stdout + embedded_job.stderr
    answers = _answers(embedded_job.output)
    passed = {(case, question): "passed" for case in RAN for question in ("build", "speed", "accuracy")}
    idle = [key for key in answers if key not in passed]
    assert len(idle) == NOT_RUN * len(MODELS) and ("clip-image-pytorch-int8-b1", "matrix") in idle
    assert {key: row["outcome"] for key, row in answers.items()} == passed | dict.fromkeys(idle, "skipped")


def test_the_header_says_which_suite_runs_and_why(embedded_job: EmbeddedJob):
    assert "suite embedded (asked for by --suite embedded)" in embedded_job.stdout


def test_what_did_not_run_is_listed_with_its_reason(embedded_job: EmbeddedJob):
    told = f"did not run ({len(MODELS)} cells): PyTorch modules cannot run the calibrated INT8 network"
    assert told in embedded_job.stdout
    page = (embedded_job.output / "report.html").read_text()
    assert "clip-image-pytorch-int8-b1" in page
    assert "cannot run the calibrated INT8 network" in page


def test_long_work_shows_progress(embedded_job: EmbeddedJob):
    assert "… clip-image: calibrating INT8" in embedded_job.stdout


def test_the_engine_that_is_scored_is_the_engine_that_was_timed(embedded_job: EmbeddedJob, cache: Path):
    answers = _answers(embedded_job.output)
    for case in ("clip-image-pytorch-fp32-b1", "clip-image-onnxruntime-int8-b1"):
        hashes = {answers[case, question]["values"]["engine_sha256"] for question in ("build", "speed", "accuracy")}
        assert len(hashes) == 1
        (folder,) = cache.glob(f"{case.removesuffix('-b1')}-*")  # these engines take any batch
        assert hashes == {json.loads((folder / MANIFEST).read_text())["sha256"]}


def test_the_record_says_what_the_engine_really_is(embedded_job: EmbeddedJob):
    answers = _answers(embedded_job.output)
    assert answers["clip-image-onnxruntime-fp32-b1", "build"]["values"]["layers"].keys() == {"fp32"}
    assert answers["clip-image-onnxruntime-int8-b1", "build"]["values"]["layers"]["int8"] > 0


def test_pytest_benchmark_holds_the_true_samples(embedded_job: EmbeddedJob):
    answers = _answers(embedded_job.output)
    saved = json.loads((embedded_job.output.parent / "benchmark.json").read_text())["benchmarks"]
    speed = {each["params"]["case"]: each for each in saved if each["name"].startswith("test_speed")}
    assert speed.keys() == set(RAN)
    for case, each in speed.items():
        values = answers[case, "speed"]["values"]
        assert each["stats"]["median"] * 1e3 == pytest.approx(values["latency_ms"]["p50"])
        assert each["stats"]["rounds"] == values["samples"]
        assert each["extra_info"]["outcome"] == "passed"


def test_junit_agrees_with_the_record(embedded_job: EmbeddedJob):
    suite = ElementTree.parse(embedded_job.output.parent / "junit.xml").getroot()[0]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": str(3 * len(RAN)), "failures": "0", "errors": "0", "skipped": "0",
    }  # fmt: skip


def test_a_second_run_builds_nothing(cache: Path, tmp_path: Path):
    done = run_here(*CLIP, "--engine-cache", str(cache), "--output", str(tmp_path), "-m", "build")
    assert done.returncode == 0
    built = [row["values"]["cached"] for key, row in _answers(tmp_path).items() if key[1] == "build"]
    assert built == [True] * 3
    assert ": building" not in done.stdout


def test_a_damaged_engine_fails_the_gate_and_nothing_else(cache: Path, tmp_path: Path):
    """One layer's weights times four, in an engine that the cache takes for whole."""
    damaged = Path(shutil.copytree(cache, tmp_path / "engines"))
    (folder,) = damaged.glob("clip-image-onnxruntime-fp32-*")
    _multiply_a_layer(folder / "model.onnx", 4)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest |= {"sha256": sha256_of(folder / "model.onnx"), "size_bytes": (folder / "model.onnx").stat().st_size}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    output = tmp_path / "output"
    done = run_here(*CLIP, "--engine-cache", str(damaged), "--output", str(output))
    assert done.returncode == 1
    answers = _answers(output)
    failed = answers.pop(("clip-image-onnxruntime-fp32-b1", "accuracy"))
    assert failed["outcome"] == "failed"
    assert "of the baseline" in failed["reason"]
    assert min(metric["ratio"] for metric in failed["values"]["metrics"]) < 0.98
    assert {row["outcome"] for row in answers.values()} == {"passed", "skipped"}
    report = json.loads((output / "report.json").read_text())
    gates = {row["case"]: row["gate"] for row in report["table"] if row["case"] in CLIP_RAN}
    assert gates == {**dict.fromkeys(CLIP_RAN, "pass"), "clip-image-onnxruntime-fp32-b1": "fail"}
    assert any(finding["level"] == "fail" for finding in report["findings"])


def _multiply_a_layer(path: Path, factor: float) -> None:
    graph = onnx.load(path)
    matrices = [tensor for tensor in graph.graph.initializer if len(tensor.dims) == 2]
    middle = matrices[len(matrices) // 2]
    middle.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(middle) * factor, middle.name))
    path.unlink()  # it may be a link to the graph that other engines are made from
    onnx.save(graph, path)


def test_a_broken_image_is_left_out_counted_and_costs_no_case(untrained_checkpoint: Path, tmp_path: Path):
    images, annotations = write_coco(tmp_path / "coco")
    (images / "001.jpg").write_bytes(b"no picture")
    output = tmp_path / "output"
    done = run_here(
        *("--yolo", str(untrained_checkpoint), "--coco-images", str(images), "--coco-annotations", str(annotations)),
        *("--models", "cat-dog", "--backends", "onnxruntime", "--precisions", "fp32,int8", "--batches", "1"),
        *("--measure-seconds", "0.2", "--engine-cache", str(tmp_path / "engines"), "--output", str(output)),
        *("-m", "build or speed"),
    )
    assert done.returncode == 0, done.stdout
    assert {row["outcome"] for row in _answers(output).values()} == {"passed"}
    assert "images that cannot be decoded, left out with their boxes: 1 (001.jpg)" in done.stdout
    (session,) = (row for row in read_rows(output / "rows.jsonl") if row["kind"] == "session")
    assert [(notice["count"], notice["examples"]) for notice in session["suite"]["notices"]] == [(1, ["001.jpg"])]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backends", "tensorflow"), "--backends: unknown 'tensorflow'"),
        (("--precisions", "fp4"), "--precisions: unknown 'fp4'"),
        (("--models", "resnet"), "--models: unknown 'resnet'"),
        (("--tolerance", "2"), "the tolerance is 2.0"),
        (("--suite", "embedded", "--yolo", "x.pt"), "brings its own weights"),
    ],
)
def test_a_wrong_option_is_a_usage_error(options: tuple[str, ...], message: str):
    done = run_here(*options)
    assert done.returncode == 4
    assert message in done.stderr
    assert "hint" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    done = run_here(*CLIP, "--output", str(tmp_path / "file" / "output"))
    assert done.returncode == 4
    assert "hint" in done.stderr


def test_a_start_that_fails_leaves_no_record_and_ends(cache: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    where = ("--output", str(tmp_path / "output"))
    done = run_here(*CLIP, "--engine-cache", str(tmp_path / "file" / "cache"), *where)
    assert done.returncode == 4
    assert "the engine cache cannot be written" in done.stderr and "hint" in done.stderr
    assert not (tmp_path / "output" / "rows.jsonl").exists()
    again = run_here(*CLIP, "-k", "pytorch", "--engine-cache", str(cache), *where)
    assert again.returncode == 0


def test_a_full_disk_ends_the_run_and_keeps_what_was_measured(cache: Path, tmp_path: Path):
    limit = 4_000  # bytes a file: room for the session row and a build row, not for the samples of a speed row

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = run_bench(
        *(*TEXT, "--measure-seconds", "1", "--engine-cache", str(cache), "--output", str(tmp_path)),
        preexec_fn=limit_files,
    )
    assert done.returncode not in (0, 4)
    assert "the rows written so far are kept" in done.stdout + done.stderr
    rows = read_rows(tmp_path / "rows.jsonl")
    assert rows[0]["kind"] == "session"
    assert all(row["kind"] != "torn" for row in rows)


def test_a_run_in_which_nothing_can_run_says_why_and_is_no_success(cache: Path, tmp_path: Path):
    done = run_here(
        *("--suite", "embedded", "--models", "clip-image", "--backends", "tensorrt", "--batches", "1"),
        *("--engine-cache", str(cache), "--output", str(tmp_path)),
    )
    assert done.returncode == 5  # pytest: no tests collected
    assert "did not run (3 cells)" in done.stdout
    assert {row["outcome"] for row in _answers(tmp_path).values()} == {"skipped"}
    assert (tmp_path / "report.html").exists()


def test_an_engine_in_another_precision_than_asked_for_fails_its_case(tmp_path: Path):
    """The FP32 engine, as its builder read it, in the place of the FP16 one."""
    options = Options.from_values(raw_options(suite="embedded", device="cpu", engine_cache=str(tmp_path)), ROOT)
    workbench = open_workbench(options, choose_suite(options, ROOT), say_nothing)
    fp16 = Case("clip-image", "zero-shot", "pytorch", "fp16", 1)
    runner = CaseRunner(workbench, SamplerSettings(), 0.02)
    assert not runner.ask(fp16, "build").failure
    runner.ask(replace(fp16, precision="fp32"), "build")
    (wide,), (narrow,) = (tmp_path.glob(f"clip-image-pytorch-{precision}-*") for precision in ("fp32", "fp16"))
    cache_key = json.loads((narrow / MANIFEST).read_text())["ingredients"]
    shutil.rmtree(narrow)
    shutil.copytree(wide, narrow)
    manifest = json.loads((narrow / MANIFEST).read_text()) | {"ingredients": cache_key}
    (narrow / MANIFEST).write_text(json.dumps(manifest))
    failure = CaseRunner(workbench, SamplerSettings(), 0.02).ask(fp16, "build").failure
    assert failure.startswith("asked for FP16, but of 26 layers the engine computes 26 in FP32")


def test_the_record_says_what_every_stage_cost(embedded_job: EmbeddedJob):
    answers = {key: row for key, row in _answers(embedded_job.output).items() if row["outcome"] == "passed"}
    assert len(answers) == 3 * len(RAN)
    for row in answers.values():
        assert 0 < row["values"]["work_seconds"] <= row["seconds"]


def test_a_run_that_was_killed_goes_on_with_its_engines(cache: Path, tmp_path: Path):
    options = (*TEXT, "--engine-cache", str(cache))
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *COMMAND, *options, "--output", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    record = tmp_path / "rows.jsonl"
    while not record.exists() or record.read_text().count('"question": "speed"') < 1:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    before = [row for row in read_rows(record) if row["kind"] == "case"]
    done = run_here(*options, "--resume", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert ": building" not in done.stdout
    answers = _answers(tmp_path)
    assert len(answers) == 6 and {row["outcome"] for row in answers.values()} == {"passed"}
    assert [row for row in read_rows(record) if row["kind"] == "case"][: len(before)] == before
