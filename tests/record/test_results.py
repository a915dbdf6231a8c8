"""The typed results of a record: what is written is read back, and what is damaged is left out with its reason."""

import csv
import json
import pickle
import re
from typing import Any

import msgspec
import numpy as np
import pytest

from fixtures import ROOT
from reports.analysis.cases import summarize
from reports.analysis.tables import build_table
from reports.record.results import (
    RESULT_TYPES,
    AccuracyResult,
    BuildResult,
    Energy,
    GpuTelemetry,
    Metric,
    ProcessTiming,
    Quantiles,
    Ratio,
    Result,
    SpeedResult,
    images_per_second,
    read_result,
    to_values,
)
from reports.record.store import read_rows
from tests.helpers.rows import accuracy, build, card_speed, case, launch, session_row

PUBLISHED = ROOT / "reports" / "published" / "h200"
FAST = case("tensorrt", "int8")
NESTED = card_speed(FAST, 2.0, launch=launch(0.1), energy={"joules_per_image": 0.5}, processes=[{"p50_ms": 2.0}])


def test_a_result_written_is_the_result_read():
    """Through JSON, as a record keeps it."""
    results: list[Result] = [
        BuildResult(build_seconds=1.5, cached=False, layers={"int8": 3}, notes=("a",), work_seconds=2.0),
        SpeedResult(
            latency_ms=Quantiles(p50=2.0, low=1.9, p99=None),
            processes=(ProcessTiming(p50_ms=2.0, samples_ms=(1.0, 2.0, 3.0)),),
            gpu=GpuTelemetry(throttled=True, reasons={"SwPowerCap": 0.4}),
            energy=Energy(joules_per_image=0.1, images=8),
        ),
        AccuracyResult(judged=True, metrics=(Metric(name="mAP", ratio_value=0.99, low=0.9, high=1.0, gated=True),)),
    ]
    for result in results:
        again, dropped = read_result(result.STAGE, json.loads(json.dumps(to_values(result))))
        assert again == result and not dropped
        assert pickle.loads(pickle.dumps(result)) == result, "it crosses the pipe of a process"


def test_of_the_published_record_nothing_is_lost():
    """Every value of a record of an earlier version has its place in the types, and is the same there."""
    rows = [row for row in read_rows(PUBLISHED / "rows.jsonl") if row["kind"] == "case"]
    assert len(rows) == 180
    for row in rows:
        result, dropped = read_result(row["question"], row["values"])
        assert not dropped
        _same(row["values"], to_values(result), row["case"]["id"])


def _same(old: Any, new: Any, place: str) -> None:
    for key, value in old.items():
        if value not in (None, [], {}, "", 0, False):
            if isinstance(value, dict):
                _same(value, new[key], f"{place}.{key}")
            else:
                assert json.loads(json.dumps(new[key])) == value or key == "processes", f"{place}.{key}"


def test_the_published_record_gives_the_published_figures_cell_by_cell():
    published = list(csv.DictReader((PUBLISHED / "report.csv").read_text(encoding="utf-8").splitlines()))
    rendered = build_table(read_rows(PUBLISHED / "rows.jsonl")).to_csv(index=False).splitlines()
    again = list(csv.DictReader(rendered))
    assert len(published) == len(again) == 90
    for old, new in zip(published, again, strict=True):
        for column, figure in old.items():
            assert new[column] == figure, (old["case"], column)
    assert sum(bool(figure) for line in published for figure in line.values()) > 2000, "figures, not empty cells"


@pytest.mark.parametrize("stage", RESULT_TYPES)
@pytest.mark.parametrize("wrong", ["text", [1], {"a": 1}, True, float("nan"), 10**400, None])
def test_any_value_of_a_wrong_type_is_left_out_and_named(stage: str, wrong: Any):
    """Of whatever field: the other fields of the row stand, and nothing raises."""
    kind = RESULT_TYPES[stage]
    whole = {field.encode_name: None for field in msgspec.structs.fields(kind)}
    for field in msgspec.structs.fields(kind):
        try:
            fits = wrong is None or bool(msgspec.convert(wrong, field.type)) or True
        except msgspec.ValidationError:
            fits = False
        result, dropped = read_result(stage, {**whole, "work_seconds": 1.5, field.encode_name: wrong})
        assert isinstance(result, kind)
        if not fits:
            assert len(dropped) == 1 and dropped[0].startswith(field.encode_name), field.encode_name
            assert getattr(result, field.name) == getattr(kind(), field.name) or not getattr(result, field.name)
        if field.name != "work_seconds":
            assert result.work_seconds == 1.5


def test_of_a_damaged_part_the_rest_stands():
    values = json.loads(json.dumps(NESTED["values"]))
    values["card"] |= {"foreign": 3, "sm_clock_median_mhz": 1980}
    values["card"]["reasons"] = {"SwPowerCap": 0.5, "HwSlowdown": "often"}
    values["latency_ms"]["low"] = "x"
    values["samples_ms"] = [2.0, "slow", True, float("nan"), float("inf"), 3]
    values["processes"] = [{"p50_ms": 2.0}, 7]
    result, dropped = read_result("speed", values)
    assert isinstance(result, SpeedResult) and result.gpu and result.latency_ms
    assert (result.gpu.foreign, result.gpu.sm_clock_median_mhz, result.gpu.reasons) == ("", 1980, {"SwPowerCap": 0.5})
    assert (result.latency_ms.low, result.latency_ms.p50) == (None, 2.0)
    assert result.samples_ms == (2.0, 3.0) and result.processes == (ProcessTiming(p50_ms=2.0),)
    assert [told.partition(":")[0] for told in dropped] == [
        "latency_ms.low",
        "card.reasons.HwSlowdown",
        "card.foreign",
        *(f"samples_ms[{place}]" for place in (1, 2, 3, 4)),
        "processes[1]",
    ]
    assert dropped[0] == "latency_ms.low: Expected `float | null`, got `str`"


def test_a_part_without_what_makes_it_one_is_no_part():
    assert read_result("speed", {"latency_ms": {"low": 1.0}})[0] == SpeedResult()
    judged, dropped = read_result("accuracy", {"metrics": [{"ratio": 1.0}, {"name": "a", "ratio": "x", "gated": True}]})
    assert isinstance(judged, AccuracyResult)
    (metric,) = judged.metrics
    assert (metric.name, metric.ratio, metric.gated) == ("a", None, True)
    assert dropped == (
        "metrics[0]: Object missing required field `name`",
        "metrics[1].ratio: Expected `float | null`, got `str`",
    )


def test_a_trace_keeps_the_places_of_its_readings():
    gpu = read_result("speed", {"card": {"trace": {"seconds": [0.0, 1.0], "power_w": ["x", 3]}}})[0].gpu  # type: ignore[attr-defined]
    assert gpu.trace.power_w == (None, 3.0)


def test_a_case_reads_its_stages_by_attribute_and_lacks_none():
    (found,) = summarize([session_row(), build(FAST), NESTED, accuracy(FAST, 0.99)])
    assert found.build.build_seconds == 12.5 and found.speed.energy == Energy(joules_per_image=0.5)
    assert found.accuracy.metrics[0].ratio == Ratio(0.99, pytest.approx(0.982), pytest.approx(0.998))
    (alone,) = summarize([session_row(), build(FAST)])
    assert (alone.speed, alone.accuracy, alone.latency) == (SpeedResult(), AccuracyResult(), None)


def test_what_could_not_be_read_is_named_in_the_case():
    (found,) = summarize([session_row(), build(FAST, size_bytes="big")])
    assert found.answers["build"].dropped == ("size_bytes: Expected `float | null`, got `str`",)


def test_numpys_numbers_are_written_as_numbers():
    details: dict[str, Any] = {"flips": np.int64(3)}
    result = AccuracyResult(details=details, tolerance=np.float64(0.02))
    assert json.dumps(to_values(result)) == '{"tolerance": 0.02, "details": {"flips": 3}}'


def test_images_per_second_are_those_of_the_slowest_clock():
    assert images_per_second(8, 2.0) == pytest.approx(4000)
    assert images_per_second(8, 2.0, 4.0) == pytest.approx(2000)


def test_a_new_stage_is_a_new_type():
    """What the module's docstring promises: one class and one entry, and the reader knows it."""

    class PipelineResult(Result, frozen=True, kw_only=True):
        STAGE = "pipeline"
        photos_per_second: float | None = None
        stage_latency: dict[str, Quantiles] = msgspec.field(default_factory=dict)

    types = {**RESULT_TYPES, PipelineResult.STAGE: PipelineResult}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.record.results.RESULT_TYPES", types)
        values = {"photos_per_second": 40.0, "stage_latency": {"decode": {"p50": 3.0}, "resize": {"p50": "x"}}}
        result, dropped = read_result("pipeline", values)
    assert result == PipelineResult(photos_per_second=40.0, stage_latency={"decode": Quantiles(p50=3.0)})
    assert len(dropped) == 2 and dropped[0].startswith("stage_latency.resize.p50")


def test_types_are_checked_by_the_readers_alone() -> None:
    """What a report reads is typed: a check elsewhere is for values that have no one type (a setting, a file)."""
    readers = {"results.py", "schema.py", "store.py", "session.py"}
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "reports").rglob("*.py"))
        if not (path.parent.name == "record" and path.name in readers)
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\bisinstance\b|\bnumber\(", line)
    ]
    assert len(found) <= 10, "\n".join(found)
