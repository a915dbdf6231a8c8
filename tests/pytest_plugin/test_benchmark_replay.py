"""Replayed samples are what pytest-benchmark reports: shown by running it."""

import json
import statistics

import pytest

from fixtures import ROOT
from fixtures.pytest_plugin.benchmark_replay import ReplayTimer

REPOSITORY = ROOT
SAMPLES_S = [0.011, 0.0123456789, 0.0109, 0.3, 0.0110000001, 1e-7]

CONFTEST = f"""
import sys
import pytest
sys.path.insert(0, {str(REPOSITORY)!r})
from fixtures.pytest_plugin.benchmark_replay import ReplayTimer

def pytest_collection_modifyitems(items):
    for item in items:
        if "replay" in item.fixturenames:
            item.add_marker(pytest.mark.benchmark(timer=ReplayTimer()))

@pytest.fixture
def replay(request, benchmark):
    timer = request.node.get_closest_marker("benchmark").kwargs["timer"]
    return lambda samples_s: timer.replay(benchmark, samples_s)
"""


@pytest.fixture
def project(pytester):
    pytester.makeconftest(CONFTEST)
    return pytester


def run(project, body, *options):
    project.makepyfile(body)
    path = project.path / "out.json"
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "--benchmark-json", str(path), *options)
    # Where nothing was timed, pytest-benchmark 5.1 leaves an empty file and later ones leave none.
    text = path.read_text() if path.exists() else ""
    return result, json.loads(text)["benchmarks"] if text else []


def test_the_json_holds_the_samples_to_the_last_bit(project):
    result, rows = run(project, f"def test_speed(replay): replay({SAMPLES_S!r})", "--benchmark-only")
    result.assert_outcomes(passed=1)
    stats = rows[0]["stats"]
    assert stats["data"] == SAMPLES_S
    assert stats["rounds"] == len(SAMPLES_S)
    assert stats["iterations"] == 1
    assert stats["median"] == statistics.median(SAMPLES_S)
    assert stats["mean"] == pytest.approx(statistics.mean(SAMPLES_S))
    assert stats["min"] == min(SAMPLES_S)
    assert stats["max"] == max(SAMPLES_S)
    assert rows[0]["options"]["timer"] == "replayed_samples"


def test_every_item_has_its_own_samples(project):
    body = """
    import pytest

    @pytest.mark.parametrize("level", [1, 2, 3])
    def test_speed(replay, level): replay([level * 0.25, level * 0.5])
    """
    result, rows = run(project, body, "--benchmark-only")
    result.assert_outcomes(passed=3)
    assert [row["stats"]["data"] for row in rows] == [[0.25, 0.5], [0.5, 1.0], [0.75, 1.5]]


def test_one_sample_and_many_samples_are_replayed(project):
    body = """
    def test_build(replay): replay([12.5])
    def test_speed(replay): replay([1e-6 * i for i in range(1, 20001)])
    """
    result, rows = run(project, body)
    result.assert_outcomes(passed=2)
    assert [len(row["stats"]["data"]) for row in rows] == [1, 20000]


def test_saving_and_comparing_work_on_replayed_samples(project):
    body = "def test_speed(replay): replay([0.5, 0.5, 0.5])"
    run(project, body, "--benchmark-save=first")
    result, _ = run(project, body, "--benchmark-compare", "--benchmark-compare-fail=median:1%")
    result.assert_outcomes(passed=1)
    slower = "def test_speed(replay): replay([0.6, 0.6, 0.6])"
    result, _ = run(project, slower, "--benchmark-compare", "--benchmark-compare-fail=median:1%")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*Performance has regressed*"])


def test_benchmarks_that_are_disabled_are_not_an_error(project):
    result, _ = run(project, f"def test_speed(replay): replay({SAMPLES_S!r})", "--benchmark-disable")
    result.assert_outcomes(passed=1)


def test_a_fixture_with_another_timer_is_found_out(project):
    body = """
    from fixtures.pytest_plugin.benchmark_replay import ReplayTimer

    def test_speed(benchmark): ReplayTimer().replay(benchmark, [1.0, 2.0])
    """
    result, _ = run(project, body)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*RuntimeError: the benchmark fixture used another timer*"])


def test_the_benchmark_fixture_called_directly_is_found_out(project):
    result, _ = run(project, "def test_speed(replay, benchmark): benchmark(lambda: None)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*RuntimeError: the replay timer was read without a sample left*"])


def test_no_sample_is_refused():
    with pytest.raises(ValueError, match="no samples"):
        ReplayTimer().replay(None, [])
