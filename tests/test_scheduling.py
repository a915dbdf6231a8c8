"""With pytest-xdist, the tests of a module run in one process, and what measures time does not run at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures import ROOT

pytest.importorskip("xdist", reason="pytest-xdist is not installed")

from tests.helpers.scheduling import TIMING

HOOK = """from tests.helpers.scheduling import ByModule

def pytest_xdist_make_scheduler(config, log):
    return ByModule(config, log)
"""
MODULES = ("tests/timing/test_a.py", "tests/timing/test_b.py", "tests/test_c.py", "tests/test_d.py")
TESTS = "import pytest\n@pytest.mark.parametrize('number', range(6))\ndef test_it(number): pass\n"


def test_a_module_and_all_that_measures_time_each_run_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "tests/timing").mkdir(parents=True)
    (tmp_path / "conftest.py").write_text(HOOK)
    for module in MODULES:
        (tmp_path / module).write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests",
        "-n",
        "2",
        "-v",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = [line.split() for line in done.stdout.splitlines() if line.startswith("[gw")]
    where = {(line[0], next(word for word in line if word.startswith("tests/")).split("::")[0]) for line in ran}
    assert {module for _, module in where} == set(MODULES)
    assert len(where) == len(MODULES), "a module was split between processes"
    assert len({worker for worker, module in where if module.startswith(TIMING)}) == 1


def test_the_modules_that_measure_time_exist() -> None:
    assert all((ROOT / each).exists() for each in TIMING)
