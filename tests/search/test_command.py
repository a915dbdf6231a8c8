"""The command line: bad calls, and a whole search of the embedded text tower in processes of its own."""

import argparse
import json
from pathlib import Path

import pytest

from fixtures.plan.option_table import SEARCH, TABLE
from fixtures.search.command import main, options_of
from fixtures.search.space import BackendChoice, all_settings
from reports.command_line import parse_arguments

CALL = ("--suite", "embedded", "--device", "cpu", "--model", "clip-text", "--output")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--budget", "-0.1"), "--budget -0.1: no share"),
        (("--budget", "1"), "--budget 1: no share"),
        (("--budget", "nan"), "--budget nan: no share"),
        (("--memory-limit", "11"), "--memory-limit: on a CPU"),
        (("--levels", "7"), "--levels: 7 is out of range"),
    ],
)
def test_a_bad_call_ends_with_what_is_wrong(more: tuple[str, ...], said: str, tmp_path: Path, capsys):
    assert main([*CALL, str(tmp_path), *more]) == 2
    assert f"error: {said}" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_a_whole_search_stops_at_its_time_and_goes_on_in_the_next_call(tmp_path: Path, engine_cache: Path, capsys):
    call = [*CALL, str(tmp_path), "--engine-cache", str(engine_cache), "--measure-seconds", "0.05"]
    call += ["--backends", "onnxruntime", "--precisions", "int8", "--batches", "8"]
    assert main([*call, "--seconds", "0.001"]) == 0
    assert "The time was up before the search was through" in capsys.readouterr().out
    first = json.loads((tmp_path / "search.json").read_text())
    assert not first["finished"]
    assert len(first["points"]) == 1
    assert main(call) == 0
    whole = json.loads((tmp_path / "search.json").read_text())
    assert whole["finished"]
    assert whole["points"][0] == first["points"][0]
    alone = [point for point in whole["points"] if point["configuration"]["precisions"].count("int8") == 1]
    assert len(alone) == 3
    assert whole["recommended"]["kept"]["value"] >= 0.98
    assert Path(whole["recommended"]["engine"]).is_file()
    assert "Ship onnxruntime, batch 8" in capsys.readouterr().out


def test_sizes_and_callers_that_are_asked_for_reach_the_space():
    call = [*CALL, "found", "--batches", "32,8", "--streams", "2,1"]
    asked = parse_arguments(argparse.ArgumentParser(), TABLE, SEARCH, call)
    options = options_of(asked)
    choices = (BackendChoice("graphs", ("fp32",)), BackendChoice("plain", ("fp32",), levels=True, one_stream=True))
    settings = all_settings(choices, options.batches, (3, 5), options.streams)
    assert [setting.label for setting in settings] == [
        "graphs, batch 8",
        "graphs, batch 8, 2 streams",
        "graphs, batch 32",
        "graphs, batch 32, 2 streams",
        "plain, batch 8, level 3",
        "plain, batch 8, level 5",
        "plain, batch 32, level 3",
        "plain, batch 32, level 5",
    ]
