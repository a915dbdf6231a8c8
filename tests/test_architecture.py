"""The architecture: who may import whom, and that nothing heavy is imported early."""

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from fixtures import ROOT

# Where heavy packages are allowed to load: not before a case is known to run.
LIGHT = (
    "conftest.py",
    "fixtures/plan/matrix.py",
    "fixtures/plan/options.py",
    "fixtures/plan/suite.py",
    "fixtures/pytest_plugin/hooks.py",
    "fixtures/pytest_plugin/fixtures.py",
    "reports/option_table.py",
)
HEAVY = {"torch", "ultralytics", "transformers", "onnxruntime", "onnx", "pandas", "cv2", "scipy.stats"}
# Beyond this a folder no longer tells a reader where to look.
MOST_MODULES = 14
PACKAGES = ("bench", "fixtures", "reports")


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """The contracts of pyproject.toml, held against the packages in `folder`."""
    code = "import sys; from importlinter.cli import lint_imports_command as lint; lint()"
    command = [sys.executable, "-c", code, "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy_of_the_code(tmp_path: Path) -> Path:
    """The modules alone, where a test may break them."""
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("", "", ""),
        ("fixtures/models/base.py", "import fixtures.backends.base", "A case travels forward"),
        ("fixtures/runner/stages.py", "def late():\n    import fixtures.isolation.pool", "A case travels forward"),
        ("reports/record/merge.py", "import reports.text.formatting", "A record becomes findings"),
        ("reports/analysis/cases.py", "import fixtures.plan.matrix", "Reports are made from the record alone"),
        ("fixtures/backends/base.py", "import pytest", "The plugin alone knows pytest"),
        ("fixtures/runner/stages.py", "import reports.analysis.cases", "The plugin alone knows pytest"),
        ("bench/test_build.py", "import fixtures.errors", "The stages import nothing"),
        ("fixtures/new_package/__init__.py", "", "A case travels forward"),
    ],
)
def test_an_import_against_the_layers_is_refused(copy_of_the_code: Path, module: str, line: str, contract: str):
    if module:
        (copy_of_the_code / module).parent.mkdir(exist_ok=True)
        with (copy_of_the_code / module).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    linted = _lint_imports(copy_of_the_code)
    broken = [line for line in linted.stdout.splitlines() if line.endswith("BROKEN")]
    assert linted.returncode == bool(module), linted.stdout + linted.stderr
    assert [line.startswith(contract) for line in broken] == [True] * bool(module)


def test_no_package_has_more_modules_than_a_reader_can_survey():
    for package in PACKAGES:
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
            assert len(modules) <= MOST_MODULES, f"{folder.relative_to(ROOT)}: {len(modules)} modules"


def test_imports_are_absolute():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"


def test_options_and_plan_import_nothing_heavy():
    modules = [name.removesuffix(".py").replace("/", ".") for name in LIGHT]
    code = f"import sys, {', '.join(modules)}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_every_backend_of_the_catalogue_keeps_the_contract():
    """What can be asked without a GPU: what it is, what it can do, and what its engines depend on."""
    from fixtures.backends import registry
    from fixtures.backends.base import ALL_TASKS, Backend, EngineOptions
    from fixtures.errors import BenchError

    for name in registry.NAMES:
        found = registry.backend(name)
        assert found.name == name and found.engine_name in registry.NAMES
        assert isinstance(found.needs_onnx, bool) and isinstance(found.dynamic_batch, bool)
        assert set(found.tasks) <= set(ALL_TASKS) and found.tasks
        assert Path(found.file_name).name == found.file_name
        reasons = [found.unsupported_reason(precision, "cpu") for precision in ("fp32", "fp16", "int8")]
        assert all(isinstance(reason, str) for reason in reasons)
        with suppress(ImportError, BenchError):  # some ask their package or program for its version
            json.dumps(dict(found.cache_key(EngineOptions())))  # it goes into the manifest
        for method in ("build", "load"):
            expected = inspect.signature(getattr(Backend, method)).parameters.keys() - {"self"}
            assert inspect.signature(getattr(found, method)).parameters.keys() == expected, f"{name}.{method}"


ARCHITECTURE = ROOT / "docs" / "architecture.md"


def test_the_page_on_the_architecture_names_what_there_is():
    text = ARCHITECTURE.read_text(encoding="utf-8")
    for path in re.findall(r"`([\w/]+/(?:[\w.]+\.py)?)`", text):
        assert (ROOT / path).exists(), path
    for module, names in re.findall(r"^\|[^|]+\| `([\w/]+\.py)` \| (`.+`) \|$", text, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            source = (ROOT / module).read_text(encoding="utf-8")
            assert re.search(rf"^\s*def {name}\(|^{name} = ", source, re.MULTILINE), f"{module}: {name}"


@pytest.mark.parametrize("package", ["fixtures", "reports"])
def test_the_page_on_the_architecture_has_every_package(package: str):
    table = ARCHITECTURE.read_text(encoding="utf-8").split(f"| package of `{package}` |")[1].split("\n\n")[0]
    listed = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    there = {path.name for path in (ROOT / package).iterdir() if (path / "__init__.py").exists()}
    there |= {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
    assert listed == there


def test_each_package_of_the_fixtures_is_kept_from_pytest_and_the_reports():
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = {each["id"]: each for each in tomllib.load(file)["tool"]["importlinter"]["contracts"]}
    packages = {f"fixtures.{path.stem}" for path in (ROOT / "fixtures").iterdir() if not path.name.startswith("__")}
    assert set(contracts["pytest"]["source_modules"]) == packages - {"fixtures.pytest_plugin"}
