"""Of a case that several processes time, pytest-benchmark, the record and the page give one figure."""

import csv
import json
import statistics
from pathlib import Path

import pytest

from reports.analysis.cases import summarize
from reports.analysis.timing_quality import caveats
from tests.helpers.fake_workers import session

CASE = "clip-text-one-fp32-b1"


def test_three_processes_have_one_median_and_a_drift_in_the_second_alone_is_told(tmp_path: Path) -> None:
    saved, output = tmp_path / "benchmark.json", tmp_path / "output"
    asked = ("--backends", "one", "--batches", "1", "--processes", "3", "--benchmark-json", str(saved))
    done = session(output, *asked, speeds=str(tmp_path / "speeds"))
    assert done.status == 0, done.said
    values = done.answers[CASE, "speed"]["values"]
    medians = [each["p50_ms"] for each in values["processes"]]
    assert len(set(medians)) == 3 and [len(each["samples_ms"]) for each in values["processes"]] == [60] * 3

    (stats,) = (each["stats"] for each in json.loads(saved.read_text())["benchmarks"] if "test_speed" in each["name"])
    (line,) = csv.DictReader((output / "report.csv").read_text().splitlines())
    figures = [stats["median"] * 1e3, values["latency_ms"]["p50"], float(line["p50_ms"])]
    assert figures == pytest.approx([statistics.median(medians)] * 3, rel=1e-12)
    assert float(line["images_per_second"]) == pytest.approx(1e3 / statistics.median(medians))

    (case,) = summarize(done.rows)
    assert [(each.code, each.process) for each in caveats(case)] == [("timing.drift", 2)]
    page = (output / "report.html").read_text()
    assert "their median counts" in page and "a drift while it was measured in process 2" in page
