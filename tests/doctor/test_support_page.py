"""The list of what GPUs have seen: written from the published runs, and the page holds what they say."""

import copy
from pathlib import Path

import pytest

from fixtures.backends.registry import NAMES
from fixtures.doctor import support_page, systems
from fixtures.doctor.text import as_text
from fixtures.plan.option_table import BENCH_OPTIONS
from reports.record.schema import RECORD
from reports.record.store import Recorder, read_rows
from reports.record.tries import WORKS
from tests.doctor.test_command import found_on_turing

ROWS = read_rows(support_page.PUBLISHED / "h200" / RECORD)


def test_the_page_is_what_the_published_runs_say():
    text = support_page.PAGE.read_text(encoding="utf-8")
    assert support_page.page(text) == text, "run `python -m fixtures.doctor.support_page`"


def test_a_line_written_by_hand_does_not_stay():
    text = support_page.PAGE.read_text(encoding="utf-8")
    assert support_page.page(text.replace("| `trtexec` | not yet", "| `trtexec` | NVIDIA H200: 3 models")) == text
    with pytest.raises(ValueError, match="the page has no"):
        support_page.page("nothing to fill")


def test_a_published_run_changes_the_list(tmp_path: Path):
    rows = copy.deepcopy([row for row in ROWS if row["kind"] != "case" or row["case"]["backend"] == "tensorrt"])
    rows[0]["environment"]["gpu"] = "NVIDIA GeForce RTX 2080 Ti"
    for row in rows[1:-1]:
        row["case"]["backend"] = "torch-tensorrt"
    (tmp_path / "night").mkdir()
    with Recorder(tmp_path / "night" / RECORD) as recorder:
        for row in rows:
            recorder.write(row)
    written = support_page.page(support_page.PAGE.read_text(encoding="utf-8"), tmp_path)
    assert written.count("NVIDIA GeForce RTX 2080 Ti: 3 models") == 3 and "NVIDIA H200" not in written.split("##")[0]
    line = next(line for line in written.splitlines() if line.startswith("| `torch-tensorrt` | NVIDIA"))
    assert "not yet" not in line


def test_only_what_was_timed_on_a_gpu_counts():
    seen = {(each.backend, each.precision): each for each in support_page.seen_in(ROWS)}
    assert ("trtexec", "fp32") not in seen  # listed there with the reason why it cannot run
    assert seen["ultralytics-engine", "int8"].failed == 1
    on_cpu = copy.deepcopy(ROWS[:1])
    on_cpu[0]["settings"]["device"] = "cpu"
    assert support_page.seen_in([*on_cpu, *ROWS[1:]]) == []


def test_small_networks_that_worked_there_count_as_such():
    one = {"network": "try-yolo", "backend": "trtexec", "precision": "fp16", "outcome": WORKS, "tolerance": 0.05}
    rows = [{**ROWS[0], "tries": [one, {**one, "precision": "int8", "outcome": "fails"}]}, *ROWS[1:]]
    line = next(each for each in support_page.table(support_page.seen_in(rows)).splitlines() if "`trtexec`" in each)
    assert line == "| `trtexec` | not yet | NVIDIA H200: small networks | not yet |"


# What the owner's research names; a system that is not in the table is forgotten.
RESEARCH = (
    *(
        "PyTorch eager",
        "torch.compile",
        "ONNX Runtime",
        "Python API",
        "trtexec",
        "Torch-TensorRT",
        "Ultralytics' export",
    ),
    *("clip_trt", "vision-at-a-clip", "NV-CLIP, a NIM", "NV-CLIP, hosted", "TAO", "Triton", "TensorRT for RTX"),
)


@pytest.mark.parametrize("name", RESEARCH)
def test_every_system_of_the_research_works_somewhere_or_has_its_reason(name: str):
    text = support_page.PAGE.read_text(encoding="utf-8").partition("| system |")[2].partition(support_page.END)[0]
    (line,) = [line for line in text.splitlines() if line.startswith("| ") and name in line.split("|")[1]]
    state = line.rsplit(" | ", 1)[1]
    assert state.startswith(("works (", "tried without it (", "no row: ", systems.NOT_MEASURED))


def test_a_system_names_backends_and_options_that_there_are():
    options = {option.name for option in BENCH_OPTIONS}
    for system in systems.SYSTEMS:
        assert set(system.backends) <= set(NAMES)
        assert not system.how or system.how.split()[0] in options
        assert bool(system.backends or system.how) != bool(system.reason)
    assert {name for system in systems.SYSTEMS for name in system.backends} == set(NAMES)


def test_a_system_works_where_a_published_run_saw_it_and_nowhere_else():
    (trtexec,) = [system for system in systems.SYSTEMS if system.name == "trtexec"]
    assert systems.state(trtexec, [("tensorrt", "NVIDIA H200")]) == systems.NOT_MEASURED
    assert systems.state(trtexec, [("trtexec", "NVIDIA H200")] * 2) == "works (NVIDIA H200)"


def test_a_stand_in_is_not_called_the_system():
    states = {system.name: systems.state(system, []) for system in systems.SYSTEMS}
    for name in ("NV-CLIP, hosted by NVIDIA", "TAO: DetectNet_v2, YOLOv4, classification"):
        assert states[name].startswith("tried without it (CPU: ") and "not seen: " in states[name]
    assert "`onnxruntime-tensorrt` on a GPU" in states["ONNX Runtime"]


def test_the_doctor_says_why_a_system_has_no_row():
    text = " ".join(as_text(found_on_turing("2.14.1+cu130", "13.0")).split())
    assert "Systems without a row - a/project: nobody could run it" in text


def test_a_server_counts_where_its_answers_came_from_the_gpu():
    served = {
        "kind": "serving",
        "serving": {"id": "triton-x", "service": "triton", "model": "x", "server": "start"},
        "question": "speed",
        "outcome": "passed",
        "values": {"device": "NVIDIA H200"},
    }
    on_cpu = {**served, "values": {"device": "CPU"}}
    failed = {**served, "outcome": "failed"}
    for row, count in ((served, 1), (on_cpu, 0), (failed, 0)):
        seen = support_page.seen_in([*ROWS[:-1], row, ROWS[-1]])
        assert sum(each.backend == "triton" for each in seen) == count
    (triton,) = (system for system in systems.SYSTEMS if system.service)
    assert "; NVIDIA H200)" in systems.state(triton, [("triton", "NVIDIA H200")])
    assert "NVIDIA" not in systems.state(triton, [("pytorch", "NVIDIA H200")]).partition("not seen")[0]
