"""What pyproject.toml promises is what `tox -e lowest` runs; `tox -e gpu-cu12` is what the compatibility table says."""

import configparser
import tomllib

from packaging.requirements import Requirement
from packaging.version import Version

from fixtures import ROOT
from fixtures.backends.compatibility import ONNXRUNTIME_GPU, RELEASES, newest_release

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _environment(name: str) -> dict[str, str]:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    return dict(tox[f"testenv:{name}"])


def _deps(environment: str) -> dict[str, Requirement]:
    lines = _environment(environment)["deps"].split("\n")
    return {needed.name: needed for needed in map(Requirement, filter(None, (line.strip() for line in lines)))}


def test_the_lowest_environment_pins_every_lower_bound_and_nothing_else():
    extras = _environment("lowest")["extras"].split()
    promised = [
        *PROJECT["dependencies"],
        *(line for extra in extras for line in PROJECT["optional-dependencies"][extra]),
    ]
    bounds = {needed.name: str(needed.specifier).removeprefix(">=") for needed in map(Requirement, promised)}
    pins = {name: str(needed.specifier).removeprefix("==") for name, needed in _deps("lowest").items()}
    assert pins.keys() == bounds.keys()
    assert {name: Version(pin) for name, pin in pins.items()} == {name: Version(each) for name, each in bounds.items()}


def test_pip_may_not_move_the_pins():
    """Without it pip installs the project after the pins, and takes the newest of what its dependencies ask for."""
    assert (
        _environment("lowest")["constrain_package_deps"] == _environment("gpu-cu12")["constrain_package_deps"] == "true"
    )


def test_the_lowest_pytorch_is_the_first_that_torch_tensorrt_is_known_for():
    (pin,) = _deps("lowest")["torch"].specifier
    assert pin.version.startswith(f"{RELEASES[0].torch}.")


def test_the_environment_for_a_driver_of_cuda_12_has_the_newest_packages_for_it():
    release, pins = newest_release("12.9"), _deps("gpu-cu12")
    assert str(pins["torch-tensorrt"].specifier) == f"=={release.torch_tensorrt}"
    assert str(pins["torch"].specifier) == f"=={release.torch}.0"
    assert str(pins["torchvision"].specifier).startswith(f"=={release.torchvision}.")
    gpu = {needed.name: needed for needed in map(Requirement, PROJECT["optional-dependencies"]["gpu"])}
    both = pins["onnxruntime-gpu"].specifier & gpu["onnxruntime-gpu"].specifier
    assert both == Requirement(f"onnxruntime-gpu{ONNXRUNTIME_GPU[12]}").specifier
