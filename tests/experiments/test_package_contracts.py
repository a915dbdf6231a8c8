"""The contracts with packages, on a small wheel that the test makes: what fits, and everything that must fail."""

import zipfile
from pathlib import Path

import pytest

from tests.experiments import package_contracts
from tests.experiments.contracts import table
from tests.experiments.contracts.uses import Receiver, survey
from tests.experiments.contracts.wheels import Wheel

LIBRARY = "toyrt/_core.cpython-312-x86_64-linux-gnu.so"
PACKAGE: dict[str, str | bytes] = {
    "toyrt/__init__.py": "from toyrt._build import Builder, compile\nfrom ._core import *\n__version__ = '1.0'\n",
    "toyrt/_build.py": (
        "from ._more import further\n"
        "def compile(program, *, inputs, level=3, **kwargs):\n"
        "    if 'debug' in kwargs:\n        pass\n"
        "    return further(program, **kwargs)\n"
        "class Base:\n"
        "    def export(self, path, quantize=None):\n        pass\n"
        "class Builder(Base):\n"
        "    @classmethod\n    def load(cls, path, **kwargs):\n        cls._open(path, **kwargs)\n"
        "    @classmethod\n    def _open(cls, path, offline=False):\n        pass\n"
    ),
    "toyrt/_more.py": "def further(program, cache=None):\n    pass\n",
    LIBRARY: b"\x7fELF\x00get_Engine\x00Inspector\x00",
}
GOOD = """
import toyrt
from toyrt import Builder

def build(program, x):
    toyrt.compile(program, inputs=[x], level=5, debug=True, cache="here")
    Builder().export("file", quantize=8)
    Builder.load("file", offline=True)
    return toyrt.Engine(x)
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    return make_wheel(tmp_path)


def make_wheel(folder: Path) -> Wheel:
    path = folder / "toyrt-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in PACKAGE.items():
            archive.writestr(name, content)
    return Wheel(path, "toyrt")


def faults(wheel: Wheel, source: str, *receivers: Receiver) -> list[str]:
    """What the script says of a file with this content."""
    file = wheel.path.parent / "backend.py"
    file.write_text(source)
    found = survey(iter([file]), {"toyrt": "toyrt"}, receivers)
    assert found.uses and not found.stale
    return package_contracts.matrix(found.uses, [("1.0", wheel)])[1]


def test_what_fits_is_no_fault(wheel: Wheel):
    assert faults(wheel, GOOD) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("level=5", "levle=5", "toyrt.compile of 1.0 has no keyword levle"),
        # It takes any keyword, and reads this one nowhere: the dangerous kind.
        ("debug=True", "degub=True", "toyrt.compile of 1.0 has no keyword degub"),
        ("cache=", "cach=", "toyrt.compile of 1.0 has no keyword cach"),
        ("inputs=[x], ", "", "toyrt.compile of 1.0 needs inputs"),
        ("compile(program", "compile(program, x", "takes 1 arguments by position, and is given 2"),
        ("quantize=8", "quantise=8", "toyrt.Builder.export of 1.0 has no keyword quantise"),
        ("offline=True", "ofline=True", "toyrt.Builder.load of 1.0 has no keyword ofline"),
        ("toyrt.Engine", "toyrt.Engin", "toyrt.Engin of 1.0 is not there"),
        ("from toyrt import Builder", "from toyrt import Bulider as Builder", "toyrt.Bulider of 1.0 is not there"),
        ("level=5", "**settings", "is called with * or **"),
    ],
)
def test_a_slip_is_a_fault(wheel: Wheel, right: str, wrong: str, said: str):
    found = faults(wheel, GOOD.replace(right, wrong))
    assert found and all("backend.py:" in each for each in found)
    assert any(said in each for each in found), found


def test_a_compiled_class_is_held_against_the_names_in_its_library(wheel: Wheel):
    receiver = Receiver("backend.py", "engine", "toyrt.Engine")
    source = "import toyrt\ndef ask(engine):\n    return engine.{}()\n"
    assert faults(wheel, source.format("Inspector"), receiver) == []
    assert faults(wheel, source.format("Inspektor"), receiver) == [
        "backend.py:3: toyrt.Engine.Inspektor of 1.0 is not there"
    ]


def test_a_name_that_is_asked_for_first_may_be_absent(wheel: Wheel):
    source = "import toyrt\ndef ask():\n    if hasattr(toyrt, 'preload'):\n        toyrt.preload()\n"
    assert faults(wheel, source) == []


def test_a_receiver_that_no_code_has_any_more_is_told(wheel: Wheel):
    file = wheel.path.parent / "backend.py"
    file.write_text(GOOD)
    gone = Receiver("backend.py", "nobody", "toyrt.Engine")
    assert survey(iter([file]), {"toyrt": "toyrt"}, (gone,)).stale == (gone,)


@pytest.mark.parametrize(("keyword", "status"), [("level", 0), ("levle", 1)])
def test_the_exit_status_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keyword: str, status: int
):
    make_wheel(tmp_path)
    sources = tmp_path / "source"
    sources.mkdir()
    (sources / "backend.py").write_text(GOOD.replace("level", keyword))
    monkeypatch.setattr(package_contracts, "SOURCES", (str(sources),))
    monkeypatch.setattr(table, "PACKAGES", (table.Package("toyrt", "toyrt", "toyrt", ("1.0",)),))
    for name, empty in (("RECEIVERS", ()), ("ONLY", {}), ("NEEDED", ()), ("DECLARED", {})):
        monkeypatch.setattr(table, name, empty)
    assert package_contracts.main(["--wheels", str(tmp_path)]) == status
    assert ("has no keyword levle" in capsys.readouterr().out) == bool(status)


def test_the_table_names_nothing_that_is_gone_from_the_source():
    found = package_contracts.find_uses()
    paths = {use.path for use in found.uses}
    assert found.stale == () and table.unknown_names(paths) == []
    # As many packages as there are in the table: none falls out of sight by an import of another form.
    assert {path.split(".")[0] for path in paths} == {each.imported for each in table.PACKAGES}
    assert "torch_tensorrt.dynamo.compile" in paths and "tensorrt.IExecutionContext.execute_async_v3" in paths
    assert len(table.PACKAGES[0].versions) >= 8
