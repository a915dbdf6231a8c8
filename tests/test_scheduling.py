"""With pytest-xdist, the tests of a module run in one process, what measures time does not run at once, and what takes
longest begins first.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures import ROOT

pytest.importorskip("xdist", reason="pytest-xdist is not installed")

from tests.helpers.scheduling import FIRST, GROUPS, TIMING

HOOK = """from tests.helpers.scheduling import ByModule

def pytest_xdist_make_scheduler(config, log):
    return ByModule(config, log)
"""
MODULES = {
    "tests/timing/test_a.py": "timing",
    "tests/timing/test_b.py": "timing",
    "tests/sessions/test_bench_run.py": "embedded job",
    "tests/sessions/test_offline.py": "embedded job",
    "tests/pipeline/test_e.py": "pipelines",
    "tests/pipeline/test_f.py": "pipelines",
    "tests/test_c.py": "c",
    "tests/test_d.py": "d",
}
TESTS = "import pytest\n@pytest.mark.parametrize('number', range({count}))\ndef test_it(number): pass\n"


def test_the_modules_of_a_group_share_a_process_and_the_longest_groups_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "conftest.py").write_text(HOOK)
    for module, group in MODULES.items():
        (tmp_path / module).parent.mkdir(parents=True, exist_ok=True)
        # More tests than any group has, so that pytest-xdist itself would begin with these.
        (tmp_path / module).write_text(TESTS.format(count=6 if group in GROUPS else 20))
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
    where = [(line[0], next(word for word in line if word.startswith("tests/")).split("::")[0]) for line in ran]
    assert {module for _, module in where} == set(MODULES)
    assert len(set(where)) == len(MODULES), "a module was split between processes"
    began: dict[str, str] = {}
    for worker, module in where:
        began.setdefault(worker, MODULES[module])
    assert sorted(began.values()) == sorted(FIRST[:2])
    for group in GROUPS:
        assert len({worker for worker, module in where if MODULES[module] == group}) == 1


def test_the_modules_that_are_named_exist() -> None:
    named = {module for module in FIRST if module not in GROUPS}.union(*GROUPS.values())
    assert TIMING and all((ROOT / each).exists() for each in named)
