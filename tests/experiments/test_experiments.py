"""The scripts behind the promises: they run by hand for minutes, so a test sees that they can begin."""

import importlib
from pathlib import Path

import pytest

BARS = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if not path.name.startswith("test_"))


@pytest.mark.parametrize("name", BARS)
def test_a_bar_can_be_asked_for_help(name: str, capsys: pytest.CaptureFixture[str]):
    bar = importlib.import_module(f"tests.experiments.{name}")
    with pytest.raises(SystemExit) as left:
        bar.main(["--help"])
    assert left.value.code == 0 and "usage" in capsys.readouterr().out


def test_the_bars_are_found():
    assert len(BARS) >= 6
