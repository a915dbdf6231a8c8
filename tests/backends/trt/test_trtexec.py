"""trtexec: its flags by version, what it prints and writes, and what happens where it fails."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fixtures.backends.base import EngineOptions, Job
from fixtures.backends.trt import trtexec, trtexec_cli
from fixtures.backends.trt.strong_typing import SCRATCH
from fixtures.backends.trt.trtexec import Trtexec, build_flags, command_line, parse_times, timing_flags
from fixtures.backends.trt.trtexec_cli import parse_version
from fixtures.errors import BenchError
from fixtures.plan.matrix import Case
from fixtures.precision.int8 import Int8Settings, to_int8
from fixtures.precision.onnx_session import open_session
from tests.helpers.networks import image_feeds, write_detector

# Ends of logs as trtexec prints them, recorded by users of those versions; paths shortened.
PASSED_10_7 = """\
[12/19/2024-01:40:34] [I] Total GPU Compute Time: 2.33974 s
[12/19/2024-01:40:34] [W] * GPU compute time is unstable, with coefficient of variance = 6.9008%.
[12/19/2024-01:40:34] [I]
&&&& PASSED TensorRT.trtexec [TensorRT v100700] [b23] # trtexec.exe --onnx=best.onnx --saveEngine=model.trt --fp16
"""
FAILED_8_6 = """\
[09/02/2025-12:43:58] [E] [TRT] ModelImporter.cpp:774: --- End node ---
[6] Assertion failed: scaleAllPositive && "Scale coefficients must all be positive"
[09/02/2025-12:43:58] [E] Failed to parse onnx file
[09/02/2025-12:43:58] [I] Finished parsing network model. Parse time: 0.230179
[09/02/2025-12:43:58] [E] Engine set up failed
&&&& FAILED TensorRT.trtexec [TensorRT v8601] # trtexec --onnx=qat.onnx --saveEngine=qat.trt --int8 --verbose
"""
# One run as exportJSONTrace of samples/common/sampleReporting.cpp writes it, the same in 8.6, 10 and 11.
RUN = """\
{{ "startEnqMs" : 0.1, "endEnqMs" : 0.3, "startH2dMs" : 0, "endH2dMs" : 0, "startComputeMs" : 0.2, "endComputeMs" : 1.2,
 "startD2hMs" : 0, "endD2hMs" : 0, "h2dMs" : 0, "computeMs" : {}, "d2hMs" : 0, "latencyMs" : {} }}
"""
TIMES = "[\n  " + ", ".join([RUN.format(1, 1.25), RUN.format(1.3, 1.5), RUN.format(1.1, 1.3)]) + "]\n"
# Does what trtexec does with its files, and nothing else: real ones need a card.
STAND_IN = """\
#!/bin/sh
echo "&&&& RUNNING TensorRT.trtexec [TensorRT v100300] # $0 $*"
echo "$*" >> "$(dirname "$0")/calls"
for option in "$@"; do
  case "$option" in
    --saveEngine=*) echo plan > "${option#*=}" ;;
    --exportLayerInfo=*) cp "$(dirname "$0")/layers.json" "${option#*=}" ;;
    --exportTimes=*) cp "$(dirname "$0")/times.json" "${option#*=}" ;;
  esac
done
"""


def _program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def _job(graph: Path, precision: str = "fp16", batch: int = 2, device: str = "cpu") -> Job:
    example = torch.rand(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    case = Case("small", "detection", "trtexec", precision, batch)
    return Job(case, device, torch.nn.Identity, graph, example, EngineOptions(workspace_mb=512))


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v8601] # trtexec --help", (8, 6, 1)),
        ("&&&& PASSED TensorRT.trtexec [TensorRT v100001] # trtexec --onnx=model.onnx", (10, 0, 1)),
        ("&&&& PASSED TensorRT.trtexec [TensorRT v101303] [b9]", (10, 13, 3)),
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v110201] [b3] # trtexec", (11, 2, 1)),
        (PASSED_10_7, (10, 7, 0)),
        ("trtexec: error while loading shared libraries: libnvinfer.so.10", None),
    ],
)
def test_the_version_is_read_from_the_banner(banner: str, version: tuple[int, int, int] | None):
    assert parse_version(banner) == version


PRECISION_FLAGS = {"--fp16", "--int8", "--best", "--bf16", "--stronglyTyped"}


@pytest.mark.parametrize(
    ("version", "precision", "expected"),
    [
        ((8, 6, 1), "fp32", set()),
        ((8, 6, 1), "fp16", {"--fp16"}),
        ((8, 6, 1), "int8", {"--fp16", "--int8"}),
        ((10, 11, 0), "int8", {"--fp16", "--int8"}),
        ((10, 12, 0), "fp32", {"--stronglyTyped"}),
        ((10, 16, 0), "int8", {"--stronglyTyped"}),
        ((11, 0, 0), "fp16", set()),
        ((11, 1, 0), "int8", set()),
    ],
)
def test_precision_is_asked_for_as_each_version_takes_it(version: tuple[int, int, int], precision: str, expected: set):
    flags = build_flags(version, precision, EngineOptions())
    assert PRECISION_FLAGS & set(flags) == expected
    assert {"--noTF32", "--skipInference", "--profilingVerbosity=detailed"} <= set(flags)


def test_options_of_the_user_reach_the_builder(tmp_path: Path):
    flags = build_flags((10, 3, 0), "fp32", EngineOptions(1024, 5, timing_cache=tmp_path / "timings"))
    assert "--memPoolSize=workspace:1024" in flags
    assert "--builderOptimizationLevel=5" in flags
    assert f"--timingCacheFile={tmp_path}/trtexec-10.3.0-timings" in flags
    assert not [flag for flag in build_flags((10, 3, 0), "fp32", EngineOptions(0)) if "memPool" in flag]


def test_every_version_measures_the_same_way():
    """No CUDA graph, no copies, spinning: opt-in up to 10, and half of it opt-out in 11."""
    assert timing_flags((8, 6, 1)) == timing_flags((10, 16, 0)) == ["--useSpinWait", "--noDataTransfers"]
    assert timing_flags((11, 0, 0)) == ["--noCudaGraph"]


def test_exported_times_become_medians():
    assert parse_times(TIMES) == trtexec.Timings(compute_ms=1.1, latency_ms=1.3, runs=3)


def test_no_times_at_all_are_an_error():
    with pytest.raises(BenchError, match="measured nothing"):
        parse_times("[\n]\n")


def test_a_failed_run_shows_the_errors_of_its_log(tmp_path: Path):
    binary = _program(tmp_path / "trtexec", f"#!/bin/sh\ncat <<'END'\n{FAILED_8_6}END\nexit 1\n")
    with pytest.raises(BenchError, match="Failed to parse onnx file") as raised:
        trtexec_cli.run(binary, "--onnx=qat.onnx", makes=())
    assert "Finished parsing" not in str(raised.value)
    assert "status 1" in raised.value.what


def test_a_run_that_passes_without_its_file_has_failed(tmp_path: Path):
    binary = _program(tmp_path / "trtexec", f"#!/bin/sh\ncat <<'END'\n{PASSED_10_7}END\n")
    with pytest.raises(BenchError, match=r"did not write .*model\.plan"):
        trtexec_cli.run(binary, makes=(tmp_path / "model.plan",))


def test_a_build_says_what_the_engine_is_and_what_trtexec_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "times.json").write_text(TIMES)
    layer = {"Name": "conv", "LayerType": "CaskConvolution", "Weights": {"Type": "Half", "Count": 432}}
    (tmp_path / "layers.json").write_text(json.dumps({"Layers": [layer] * 7, "Bindings": ["images", "output0"]}))
    monkeypatch.setenv("TRTEXEC", _program(tmp_path / "trtexec", STAND_IN))
    graph = write_detector(tmp_path / "graph.onnx")
    (tmp_path / "engine").mkdir()
    (tmp_path / "trtexec-10.3.0-timings").write_bytes(bytes(9_000))
    job = _job(graph)
    job = replace(job, options=replace(job.options, timing_cache=tmp_path / "timings"))
    built = Trtexec().build(job, tmp_path / "engine" / "model.plan")
    assert built.layers == {"fp16": 7}
    assert built.known_timings_bytes == 9_000
    assert "trtexec 10.3.0 itself: 1.100 ms GPU compute time, median of 3 runs" in built.notes[0]
    building, timing = [line for line in (tmp_path / "calls").read_text().splitlines() if line != "--help"]
    assert f"--onnx={graph}" in building and "--shapes=images:2x3x32x32" in building and "--fp16" in building
    assert "--loadEngine=" in timing and "--shapes=images:2x3x32x32" in timing and "--useSpinWait" in timing
    assert Trtexec().cache_key(EngineOptions())["typing"] == "flags"


def test_a_command_that_its_timings_crash_builds_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As 8.6.0 does on an H100: it writes the file and dies."""
    (tmp_path / "times.json").write_text(TIMES)
    layer = {"Name": "conv", "LayerType": "CaskConvolution", "Weights": {"Type": "Half", "Count": 432}}
    (tmp_path / "layers.json").write_text(json.dumps({"Layers": [layer] * 7, "Bindings": ["images", "output0"]}))
    kept = tmp_path / "trtexec-10.3.0-timings"
    crash = f'case "$*" in *--timingCacheFile*) echo poison > {kept}; kill -SEGV $$;; esac\n'
    head, rest = STAND_IN.split("\n", 1)
    monkeypatch.setenv("TRTEXEC", _program(tmp_path / "trtexec", f"{head}\n{crash}{rest}"))
    (tmp_path / "engine").mkdir()
    job = _job(write_detector(tmp_path / "graph.onnx"))
    with_timings = replace(job, options=replace(job.options, timing_cache=tmp_path / "timings"))
    built = Trtexec().build(with_timings, tmp_path / "engine" / "model.plan")
    assert built.layers == {"fp16": 7} and built.known_timings_bytes == 0
    assert not kept.exists()


def test_a_command_that_crashes_without_timings_has_crashed(tmp_path: Path):
    binary = _program(tmp_path / "trtexec", "#!/bin/sh\nkill -SEGV $$\n")
    with pytest.raises(trtexec_cli.CrashError, match="status -11"):
        trtexec_cli.run(binary, makes=())


def test_a_strongly_typed_build_gets_int8_with_its_rest_in_fp16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "times.json").write_text(TIMES)
    (tmp_path / "layers.json").write_text(json.dumps({"Layers": [], "Bindings": ["images", "output0"]}))
    monkeypatch.setenv("TRTEXEC", _program(tmp_path / "trtexec", STAND_IN.replace("v100300", "v101600")))
    source = write_detector(tmp_path / "fp32.onnx")
    to_int8(source, tmp_path / "int8.onnx", image_feeds(4, seed=0), Int8Settings(), lambda _: None)
    (tmp_path / "engine").mkdir()
    Trtexec().build(_job(tmp_path / "int8.onnx", "int8"), tmp_path / "engine" / "model.plan")
    building = next(line for line in (tmp_path / "calls").read_text().splitlines() if "--onnx=" in line)
    assert f"--onnx={tmp_path / 'engine' / SCRATCH} " in building and "--stronglyTyped" in building
    assert not (tmp_path / "engine" / SCRATCH).exists()
    assert Trtexec().cache_key(EngineOptions())["int8_rest"] == "fp16"


def test_without_the_command_the_reason_says_where_nvidia_ships_it(tmp_path: Path):
    assert "libnvinfer-bin" in trtexec_cli.why_no_trtexec({"PATH": str(tmp_path)})


def test_a_variable_that_names_no_program_is_a_reason(tmp_path: Path):
    assert "is no program" in trtexec_cli.why_no_trtexec({"TRTEXEC": str(tmp_path / "absent")})


def test_a_command_that_lacks_its_libraries_is_a_reason(tmp_path: Path):
    loading = "error while loading shared libraries: libnvinfer.so.10"
    binary = _program(tmp_path / "trtexec", f"#!/bin/sh\necho '{loading}' >&2\nexit 127\n")
    reason = trtexec_cli.why_no_trtexec({"TRTEXEC": binary})
    assert loading in reason and "LD_LIBRARY_PATH" in reason


def test_the_command_is_found_on_the_path(tmp_path: Path):
    binary = _program(tmp_path / "trtexec", STAND_IN)
    assert trtexec_cli.find_binary({"PATH": str(tmp_path)}) == binary
    assert trtexec_cli.why_no_trtexec({"PATH": f"{tmp_path}:{Path(str(shutil.which('dirname'))).parent}"}) == ""


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_why_not_never_raises(device: str):
    assert Trtexec().unsupported_reason("fp16", device) or torch.cuda.is_available()


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_real_engine_answers_like_the_graph(precision: str, tmp_path: Path):
    from fixtures.precision.fp16 import to_fp16

    if reason := Trtexec().unsupported_reason(precision, "cuda"):
        pytest.skip(reason)
    fp32, graph = write_detector(tmp_path / "fp32.onnx"), tmp_path / "fp32.onnx"
    if precision == "fp16":
        graph = tmp_path / "fp16.onnx"
        to_fp16(fp32, graph)
    images = torch.cat([torch.from_numpy(feed["images"]) for feed in image_feeds(2, seed=1)])
    job, plan = _job(graph, precision, device="cuda"), tmp_path / "model.plan"
    built = Trtexec().build(job, plan)
    assert not built.precision_mismatch(precision)
    (expected,) = open_session(fp32).run(None, {"images": images.numpy()})
    answer = Trtexec().load(job, plan)(images.cuda()).cpu()
    scale = float(abs(expected).max())
    torch.testing.assert_close(
        answer, torch.from_numpy(expected), rtol=0, atol=scale * {"fp32": 1e-4, "fp16": 2e-2}[precision]
    )


@pytest.mark.parametrize(
    ("version", "typing"), [("8.6.0", "--fp16 --int8"), ("10.13.2.6", "--stronglyTyped"), ("11.0.0rc1", "")]
)
def test_the_line_for_people_has_the_shape_and_the_flags_of_their_version(tmp_path: Path, version: str, typing: str):
    graph = write_detector(tmp_path / "graph.onnx")
    line = command_line(graph, 8, version, "int8", EngineOptions(1024, 5, timing_cache=tmp_path / "timings"))
    assert f"--onnx={graph} --shapes=images:8x3x32x32 " in line and "timings" not in line
    assert "--builderOptimizationLevel=5 " in line and line.endswith(" --saveEngine=model.plan")
    flags = {"--fp16", "--int8", "--stronglyTyped"}
    assert " ".join(flag for flag in line.split() if flag in flags) == typing
