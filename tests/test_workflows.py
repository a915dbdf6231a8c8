"""The workflows, as far as they can be checked without GitHub: their promises, and the nightly scripts run for real.

actionlint checks the rest (.github/workflows/ci.yml runs it).
"""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures import ROOT
from reports.github.job_summary import job_summary
from reports.history.store import append
from reports.record.store import Recorder
from tests.helpers.rows import accuracy, case, end_row, session_row

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FAILING = [session_row(), accuracy(case("onnxruntime", "int8"), 0.9), end_row(1)]
ROWS_FILE = "reports/runs/night/rows.jsonl"


def read(path: Path) -> dict[str, Any]:
    # YAML 1.1 takes the key `on` for true.
    return {"on" if key is True else key: value for key, value in yaml.safe_load(path.read_text("utf-8")).items()}


NIGHTLY = read(ROOT / ".github" / "workflows" / "nightly-gpu.yml")
NIGHT = NIGHTLY["jobs"]["bench"]
STEPS = NIGHT["steps"]
RUN_KEY = next(step for step in STEPS if "--junitxml" in step.get("run", ""))
SUMMARY = next(step for step in STEPS if "reports summary" in step.get("run", ""))
UPLOAD = next(step for step in STEPS if "upload-artifact" in step.get("uses", ""))


def steps_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_asks_for_little_and_ends(path: Path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 300 and "permissions" not in job for job in workflow["jobs"].values())
    assert all(
        step["with"]["persist-credentials"] is False
        for step in steps_of(workflow)
        if step.get("uses", "").startswith("actions/checkout@")
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_githubs_own_and_held_at_a_major_version(path: Path):
    used = [step["uses"] for step in steps_of(read(path)) if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_script_contains_what_someone_typed(path: Path):
    assert not [step["run"] for step in steps_of(read(path)) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_environment_and_module_that_a_workflow_calls_exists(path: Path):
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    scripts = "\n".join(step.get("run", "") for step in steps_of(read(path)))
    environments = re.findall(r"tox (?:run|exec) -e (\S+)", scripts)
    assert environments and all(f"testenv:{name}" in tox for name in environments)
    for module in re.findall(r"python -m (fixtures\S*|reports\S*)", scripts):
        at = ROOT / module.replace(".", "/")
        assert at.with_suffix(".py").is_file() or (at / "__main__.py").is_file(), module


def test_the_night_runs_on_the_card_alone_and_never_for_a_stranger():
    assert NIGHT["runs-on"] == ["self-hosted", "linux", "gpu", "rtx-2080-ti"]
    assert set(NIGHTLY["on"]) == {"schedule", "workflow_dispatch"}
    assert NIGHTLY["concurrency"] == {"group": "rtx-2080-ti", "cancel-in-progress": False}
    known = yaml.safe_load((ROOT / ".github" / "actionlint.yaml").read_text("utf-8"))["self-hosted-runner"]["labels"]
    assert set(known) == set(NIGHT["runs-on"]) - {"self-hosted", "linux"}


def test_the_doctor_speaks_before_the_engines_are_built():
    doctor = next(step for step in STEPS if "fixtures.doctor" in step.get("run", ""))
    assert STEPS.index(doctor) < STEPS.index(RUN_KEY)
    # It tries what it names, and the file is uploaded with the report and shown on its page.
    assert '--try --output "$TRIES"' in doctor["run"] and '--tries "$TRIES"' in RUN_KEY["run"]
    assert NIGHT["env"]["TRIES"].startswith(f"{UPLOAD['with']['path']}/")


def test_report_and_summary_come_after_a_failure_too():
    assert all(step.get("if") == "always()" for step in (SUMMARY, UPLOAD))
    assert all(STEPS.index(step) > STEPS.index(RUN_KEY) for step in (SUMMARY, UPLOAD))
    assert NIGHT["env"]["REPORT"].startswith(f"{UPLOAD['with']['path']}/")


def test_nothing_in_the_night_forgives_a_failed_step():
    assert "continue-on-error" not in NIGHT
    assert not [step for step in STEPS if "continue-on-error" in step or "|| true" in step.get("run", "")]
    assert "if" not in RUN_KEY


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A checkout with one night's record, and a python3 that writes down what tox is asked and runs it without tox."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text(
        "#!/bin/bash\n"
        'printf "%s\\n" "$@" > "$ASKED"\n'
        'if [ "$3" = exec ]; then while [ "$1" != -- ]; do shift; done; shift 2\n'
        f'  PYTHONPATH="{ROOT}" exec "{sys.executable}" "$@"\n'
        "fi\n"
        'exit "$STATUS"\n'
    )
    python.chmod(0o755)
    with Recorder(tmp_path / ROWS_FILE) as recorder:
        for row in FAILING:
            recorder.write(row)
    (tmp_path / "kept" / "history").mkdir(parents=True)
    return tmp_path


def run(step: dict[str, Any], runner: Path, *, status: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a step's script as GitHub's runner does for `shell: bash`."""
    environment = {
        "PATH": f"{runner / 'bin'}:{os.environ['PATH']}",
        "ASKED": str(runner / "asked"),
        "STATUS": str(status),
        "KEPT": str(runner / "kept"),
        "REPORT": str(Path(ROWS_FILE).parent),
        "TRIES": "reports/runs/tries.json",
        "GITHUB_STEP_SUMMARY": str(runner / "summary.md"),
        **more,
    }
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(bash, cwd=runner, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("status", [0, 1, 2, 6, 7])
def test_pytests_exit_status_is_that_of_the_night(runner: Path, status: int):
    assert run(RUN_KEY, runner, status=status, PYTEST_ARGUMENTS="").returncode == status


@pytest.mark.parametrize(
    ("typed", "more"),
    [
        ("", []),
        ("--backends tensorrt  -k int8", ["--backends", "tensorrt", "-k", "int8"]),
        ("$(exit 9)", ["$(exit", "9)"]),
        ("--processes 1", ["--processes", "1"]),
    ],
)
def test_what_someone_types_goes_to_pytest_and_not_to_the_shell(runner: Path, typed: str, more: list[str]):
    assert run(RUN_KEY, runner, PYTEST_ARGUMENTS=typed).returncode == 0
    asked = (runner / "asked").read_text().splitlines()
    # Two processes a case, unless someone types another number: the last one counts.
    assert asked[:8] == ["-m", "tox", "run", "-e", "gpu", "--", "--processes", "2"]
    assert asked[8 : 8 + len(more)] == more
    # The night's own come last: the later steps look for the record where these say.
    report = str(Path(ROWS_FILE).parent)
    kept = ["--engine-cache", f"{runner}/kept/engines", "--history", f"{runner}/kept/history"]
    kept += ["--tries", "reports/runs/tries.json"]
    assert asked[8 + len(more) :] == [*kept, "--output", report, f"--junitxml={report}/junit.xml"]


def test_the_summary_of_a_failed_night_is_written_and_annotated(runner: Path):
    append(runner / "kept" / "history", FAILING)
    done = run(SUMMARY, runner)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("::error title=yolov8n-onnxruntime-int8-b8 failed its gate::")
    assert (runner / "summary.md").read_text(encoding="utf-8") == job_summary(FAILING)


def test_a_night_that_was_not_compared_says_so_and_has_its_page_all_the_same(runner: Path):
    done = run(SUMMARY, runner)
    assert done.returncode == 2 and "::error title=Not compared with the history::" in done.stdout
    assert (runner / "summary.md").exists()


def test_a_night_without_a_record_fails_its_summary(runner: Path):
    (runner / ROWS_FILE).unlink()
    done = run(SUMMARY, runner)
    assert done.returncode == 2 and done.stdout.startswith("::error title=No summary::")
