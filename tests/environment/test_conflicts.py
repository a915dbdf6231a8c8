"""Which packages hold together: the owner's stack with a transformers that refuses it, and others of the kind."""

from collections.abc import Mapping, Sequence

import pytest

from fixtures.backends.compatibility import RELEASES
from fixtures.environment import conflicts
from fixtures.environment.conflicts import Conflict, conflict_of, fatal_conflict, find_conflicts, torchvision_for

# As the wheels on PyPI say (METADATA, Requires-Dist), shortened.
TRANSFORMERS_5 = [
    "huggingface-hub<3.0,>=1.31.0",
    'torch>=2.6; extra == "torch"',
    'accelerate>=1.1.0; extra == "torch"',
    'torchvision; extra == "vision"',
]
TRANSFORMERS_4_57 = ["huggingface-hub<1.0,>=0.34.0", 'torch>=2.2; extra == "torch"']
OWNER = {"torch": "2.5.1+cu121", "torchvision": "0.20.1+cu121", "transformers": "4.57.6", "huggingface-hub": "0.36.0"}


def found(installed: Mapping[str, str], **requirements: Sequence[str]) -> tuple[Conflict, ...]:
    return find_conflicts(lambda name: installed.get(name, ""), lambda name: requirements.get(name, ()))


def test_the_packages_that_run_these_tests_hold_together():
    assert find_conflicts() == ()


def test_the_owners_stack_holds_together():
    assert found(OWNER, transformers=TRANSFORMERS_4_57) == ()


def test_transformers_5_beside_pytorch_2_5_is_told_with_the_line_that_keeps_pytorch():
    """Its metadata ask for PyTorch in an extra alone, so that pip says nothing."""
    installed = OWNER | {"transformers": "5.24.0", "huggingface-hub": "1.31.0"}
    (conflict,) = found(installed, transformers=TRANSFORMERS_5)
    assert conflict.what == (
        "transformers 5.24.0 needs torch>=2.6, and here is torch 2.5.1+cu121: transformers then takes PyTorch for "
        "absent, and no CLIP can be loaded"
    )
    assert conflict.pip == ('pip install "transformers>=4.57,<5"', "pip install --upgrade torch torchvision")
    assert conflict.pip[0] in conflict.hint and "fixtures.doctor" in conflict.hint
    assert found(installed | {"torch": "2.6.0", "torchvision": "0.21.0"}, transformers=TRANSFORMERS_5) == ()


def test_a_part_of_an_extra_that_the_suite_does_not_use_is_nobodys_concern():
    installed = OWNER | {
        "transformers": "5.24.0",
        "huggingface-hub": "1.31.0",
        "torch": "2.9.0",
        "torchvision": "0.24.0",
    }
    assert "accelerate" not in installed and found(installed, transformers=TRANSFORMERS_5) == ()


@pytest.mark.parametrize(
    ("torch", "torchvision"), [("2.5.1", "0.21.0"), ("2.14.1", "0.20.1"), ("2.6.0+cu124", "0.20.1")]
)
def test_a_torchvision_of_another_pytorch_is_told_first(torch: str, torchvision: str):
    first, *_ = found({"torch": torch, "torchvision": torchvision, "numpy": "1.20"}, torchvision=["numpy>=1.26"])
    assert "cannot be loaded" in first.what and first.pip[0] == f'pip install "torchvision=={torchvision_for(torch)}.*"'


def test_torchvision_follows_the_table_of_releases():
    assert {release.torch: release.torchvision for release in RELEASES} == {
        release.torch: torchvision_for(f"{release.torch}.0") for release in RELEASES
    }


def test_any_unmet_requirement_is_told():
    installed = {"pandas": "2.2.0", "numpy": "2.1.0", "pycocotools": "2.0.8"}
    wrong, absent = found(
        installed, pandas=["numpy<2,>=1.23.2", "tzdata>=2022.7; sys_platform == 'none'"], pycocotools=["x"]
    )
    assert wrong.what == "pandas 2.2.0 needs numpy>=1.23.2,<2, and here is numpy 2.1.0"
    assert wrong.pip == ('pip install "numpy>=1.23.2,<2"',)
    assert absent.what == "pycocotools 2.0.8 needs x, and x is absent"


def test_what_nobody_can_read_is_no_conflict():
    assert found({"numpy": "2.1.0", "torch": "a-build-of-my-own"}, numpy=["not a requirement!", "torch>=2"]) == ()


def test_a_case_finds_the_conflict_of_its_package():
    told = found(OWNER | {"transformers": "5.24.0", "huggingface-hub": "1.31.0"}, transformers=TRANSFORMERS_5)
    assert conflict_of("transformers", told) == told[0] and conflict_of("onnx", told) is None
    assert conflict_of("transformers") is None


def test_only_what_stops_every_case_is_fatal(monkeypatch: pytest.MonkeyPatch):
    assert fatal_conflict() is None
    monkeypatch.setattr(conflicts, "installed_version", {"torch": "2.5.1", "torchvision": "0.29.1"}.get)
    fatal = fatal_conflict()
    assert fatal is not None and fatal.package == "torchvision"
