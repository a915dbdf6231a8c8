"""The house: who may know whom, how long a module may be, and that nothing heavy is imported early."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures import ROOT

# Where heavy packages are allowed to load: not before a case is known to run.
LIGHT = (
    "conftest.py",
    "fixtures/plan/matrix.py",
    "fixtures/plan/options.py",
    "fixtures/plan/suite.py",
    "fixtures/pytest_plugin/session.py",
)
HEAVY = {"torch", "ultralytics", "transformers", "onnxruntime", "onnx", "pandas", "cv2"}
# What a room hands things to, it does not know.
FORBIDDEN = {
    "reports": ("fixtures", "bench", "torch", "pytest"),
    "fixtures/scoring": (
        "fixtures.backends",
        "fixtures.instruments",
        "fixtures.cache.engine_cache",
        "fixtures.cache.entry",
        "reports",
        "pytest",
    ),
    "fixtures/instruments": (
        "fixtures.backends",
        "fixtures.scoring",
        "fixtures.cache.engine_cache",
        "fixtures.cache.entry",
        "reports",
        "pytest",
    ),
    "fixtures/backends": (
        "fixtures.cache.engine_cache",
        "fixtures.cache.entry",
        "fixtures.scoring",
        "fixtures.instruments",
        "reports",
        "pytest",
    ),
    "fixtures/precision": ("fixtures.backends", "fixtures.models", "fixtures.datasets", "reports", "pytest"),
    "fixtures/models": (
        "fixtures.backends",
        "fixtures.precision",
        "fixtures.cache.engine_cache",
        "fixtures.cache.entry",
        "reports",
        "pytest",
    ),
    "fixtures/datasets": ("fixtures.models", "fixtures.backends", "fixtures.precision", "reports", "pytest"),
}


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_case_travels_forward_only(room: str):
    for path in (ROOT / room).rglob("*.py"):
        backward = {
            name for name in _imports(path) for ban in FORBIDDEN[room] if name == ban or name.startswith(f"{ban}.")
        }
        assert not backward, f"{path.relative_to(ROOT)} imports {backward}"


def test_options_and_plan_import_nothing_heavy():
    modules = [name.removesuffix(".py").replace("/", ".") for name in LIGHT]
    code = f"import sys, {', '.join(modules)}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_every_backend_of_the_catalogue_keeps_the_contract():
    from fixtures.backends import registry

    for name in registry.NAMES:
        found = registry.backend(name)
        assert found.name == name
        for part in ("needs_onnx", "dynamic_batch", "file_name", "unsupported_reason", "cache_key", "build", "load"):
            assert hasattr(found, part), f"{name} lacks {part}"
