import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.__main__ import main
from reports.analysis.pipeline import compare_pipelines
from reports.errors import ReportError
from reports.html.page import as_data, render
from reports.record.merge import merge
from reports.record.pipeline import read_pipelines
from reports.record.schema import EndRow, ResumeRow, Row
from reports.record.serving import read_serving
from reports.record.store import Recorder, read_rows
from tests.helpers.pipelines import timed_pipelines
from tests.helpers.rows import accuracy, answered, case, end_row, row, session_row
from tests.helpers.serving import judged, serving_row, speed

BASELINE = case("pytorch", "fp32")
INT8 = case("onnxruntime", "int8")
FP16 = case("tensorrt", "fp16")
CLIP = case("pytorch", "fp32", model="clip-vit-b32")
CASES = [
    answered(BASELINE, 80.0),
    answered(INT8, 20.0, 0.93),
    [row(FP16, "speed", outcome="error", reason="signal 6")],
    answered(CLIP, 9.0),
]


def shard(index: int, of: int, *answers: list[Row], status: int | None = 0, gpu: str | None = None) -> list[Row]:
    """A shard's record, as its own session wrote it."""
    start = session_row(gpu=gpu, card={"driver": "580.1"} if gpu else None)
    start["settings"] |= {"shard": f"{index}/{of}", "output": f"out-{index}", "engine_cache": f"cache-{index}"}
    rows = [start, *(row for one in answers for row in one), *([end_row(status)] if status is not None else [])]
    return [{**row, "session": f"s{index}"} for row in rows]


def whole(*answers: list[Row], status: int = 0) -> list[Row]:
    return [session_row(), *(row for one in answers for row in one), end_row(status)]


def told(rows: list[Row]) -> dict:
    """Everything that a report says, but for who measured it and how long that took."""
    return {name: part for name, part in as_data(rows).items() if name not in ("session", "end")}


def refused(*records: list[Row]) -> str:
    with pytest.raises(ReportError) as error:
        merge(records)
    assert error.value.hint
    return error.value.what


def test_the_report_of_the_merged_shards_is_that_of_one_run():
    merged = merge([shard(2, 3, *CASES[2:3], status=6), shard(3, 3, *CASES[3:]), shard(1, 3, *CASES[:2], status=1)])
    assert told(merged) == told(whole(*CASES, status=1))
    assert {row["session"] for row in merged} == {"s1"} and [row["kind"] for row in merged].count("session") == 1
    assert merged[0]["settings"]["shards"] == ["s1", "s2", "s3"] and "shard" not in merged[0]["settings"]
    assert merged[-1]["kind"] == "end" and merged[-1]["seconds"] == pytest.approx(3 * 412.5)
    assert "took 20 min" in render(merged)


def test_engines_that_were_dealt_out_stand_in_the_order_of_the_matrix_where_the_settings_list_it():
    listed = {
        "models": ["yolov8n", "clip-vit-b32"],
        "backends": ["onnxruntime", "pytorch", "tensorrt"],
        "precisions": ["fp32", "fp16", "int8"],
        "batches": [8],
    }
    records = [shard(1, 2, CASES[3], CASES[1]), shard(2, 2, CASES[2], CASES[0])]
    by_shard = [row["case"] for row in merge(records) if row["kind"] == "case"]
    assert list(dict.fromkeys(one["id"] for one in by_shard)) == [one["id"] for one in (CLIP, INT8, FP16, BASELINE)]
    for record in records:
        record[0]["settings"] |= listed
    assert told(merge(records)) == told(whole(*CASES))


@pytest.mark.parametrize(
    ("statuses", "worst"), [((0, 0), 0), ((5, 0), 0), ((5, 5), 5), ((7, 6), 6), ((6, 1), 1), ((1, 2), 2), ((-9, 3), -9)]
)
def test_the_worst_exit_status_counts_and_a_shard_without_work_does_not(statuses: tuple[int, int], worst: int):
    merged = merge([shard(i, 2, CASES[i], status=status) for i, status in enumerate(statuses, start=1)])
    assert merged[-1]["exit_status"] == worst


def test_a_shard_that_did_not_end_is_a_run_that_did_not_finish():
    merged = merge([shard(1, 2, *CASES[:2]), [*shard(2, 2, *CASES[2:], status=None), {"kind": "torn", "line": 9}]])
    assert {row["kind"] for row in merged} == {"session", "case"}
    assert "This run did not finish" in as_data(merged)["findings"][0]["text"]


def test_a_shard_that_was_resumed_ends_where_it_ended_last():
    first, more = shard(2, 2, CASES[2], status=2), answered(CLIP, 9.0)
    goes_on = [*first, ResumeRow("s2", first[0]["environment"]).to_dict(), *more]
    assert merge([shard(1, 2, *CASES[:2]), goes_on])[-1]["kind"] == "case"
    assert merge([shard(1, 2, *CASES[:2]), [*goes_on, EndRow("s2", 7.0, 0).to_dict()]])[-1]["exit_status"] == 0


def test_only_the_last_session_of_a_record_is_merged():
    merged = merge([[*shard(9, 9, CASES[1]), *shard(1, 1, CASES[0])]])
    assert told(merged) == told(whole(CASES[0]))


def test_shards_that_are_missing_twice_or_of_another_matrix_are_refused():
    one, three = shard(1, 3, CASES[0]), shard(3, 3, CASES[1])
    assert refused() == "there are no records to merge"
    assert refused([]) == "record 1 holds no session"
    assert refused(one) == "of 3 shards 2/3, 3/3 are missing"
    assert refused(one, three) == "of 3 shards 2/3 is missing"
    assert refused(one, three, one) == "shard 1/3 (session s1) and shard 1/3 (session s1) are the same part"
    assert "two different matrices" in refused(one, shard(2, 2, CASES[1]))


@pytest.mark.parametrize("asked", [None, "", "3/2", "0/2", "1/2 "])
def test_a_run_that_is_no_shard_is_refused(asked: str | None):
    record = shard(1, 2, CASES[0])
    record[0]["settings"]["shard"] = asked
    assert refused(record).startswith("record 1 (session s1) is not a shard")


def _set(part: str, name: str, value: object) -> Callable[[Row], None]:
    return lambda session: session[part].update({name: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("settings", "tolerance", 0.05), "setting tolerance (0.02, 0.05)"),
        (_set("settings", "rebuild", True), "setting rebuild (None, True)"),
        (_set("environment", "commit", "abc"), "commit (None, 'abc')"),
        (_set("environment", "gpu", "NVIDIA L4"), "gpu ('NVIDIA H200', 'NVIDIA L4')"),
        (_set("environment", "card", {"driver": "581.7"}), "driver ('580.1', '581.7')"),
        (_set("environment", "packages", {"torch": "2.16.0"}), "package torch ('2.15.0', '2.16.0')"),
        (_set("suite", "yolo", {"sha256": "f00d"}), "yolo weights"),
    ],
)
def test_what_decides_a_figure_must_not_differ(change: Callable[[Row], None], said: str):
    one, two = (shard(i, 2, CASES[i], gpu="NVIDIA H200") for i in (1, 2))
    merge([one, two])
    change(two[0])
    assert said in refused(one, two)


def test_a_cpu_must_be_the_same_only_where_it_is_what_was_measured():
    def records(gpu: str | None) -> list[list[Row]]:
        one, two = (shard(i, 2, CASES[i], gpu=gpu) for i in (1, 2))
        two[0]["environment"] |= {"cpu": "Another CPU", "cores": 16}
        return [one, two]

    merge(records("NVIDIA H200"))
    assert "cpu ('Test CPU', 'Another CPU'), cores (2, 16)" in refused(*records(None))


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    found = []
    for index in (1, 2):
        path = tmp_path / f"{index}.jsonl"
        with Recorder(path) as recorder:
            for one in shard(index, 2, CASES[index - 1], status=index - 1):
                recorder.write(one)
        found.append(str(path))
    return found


def test_the_command_writes_the_record_and_the_report_once(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "merged"
    assert main(["merge", *paths, "--output", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html")
    rows = read_rows(out / "rows.jsonl")
    assert told(rows) == told(whole(*CASES[:2], status=1))
    assert json.loads((out / "report.json").read_text())["end"]["exit_status"] == 1
    before = (out / "rows.jsonl").read_bytes()
    assert main(["merge", *paths, "--output", str(out)]) == 2
    assert re.search(r"there is a record already\n.*hint", capsys.readouterr().err)
    assert (out / "rows.jsonl").read_bytes() == before


def test_the_command_refuses_a_part_of_the_shards_and_writes_nothing(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["merge", paths[0], "--output", str(tmp_path / "merged")]) == 2
    assert "of 2 shards 2/2 is missing" in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()


def test_the_gate_stays_closed_in_the_merged_report():
    merged = merge([shard(1, 2, CASES[0]), shard(2, 2, [accuracy(INT8, 0.9)], status=1)])
    assert "gate.failed" in [finding["code"] for finding in as_data(merged)["findings"]]


def test_pipelines_and_served_models_of_all_shards_are_those_of_one_run():
    """The first shard has what is served; which has the baseline pipeline follows from its name."""
    common, fast = (
        [{key: value for key, value in each.items() if key != "session"} for each in rows]
        for rows in (timed_pipelines("s")[:1], timed_pipelines("s")[1:])
    )
    here = [serving_row("triton-yolov8n", speed()), serving_row("triton-yolov8n", judged(1.0))]
    cases = CASES[:2]
    merged = merge([shard(1, 2, cases[0], fast, here), shard(2, 2, cases[1], common)])
    assert told(merged) == told(whole(*cases, fast, here, common))
    (served,) = read_serving(merged)
    assert served.speed and len(served.speed.loads) == 3 and served.accuracy
    assert {each.name.id: each.outcomes for each in read_pipelines(merged)} == {
        each.name.id: each.outcomes for each in read_pipelines(timed_pipelines("s"))
    }
    assert all(comparison.best for comparison in compare_pipelines(read_pipelines(merged)))
