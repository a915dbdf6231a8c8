"""Served models in a session: the row, the page, the reason, the exit status, and a key that is nowhere on the disk."""

import os
import random
from pathlib import Path

import pytest

from reports.html.page import write_report
from reports.record.schema import Status
from reports.record.serving import ServingAccuracy, ServingSpeed, ServingSummary, read_serving
from reports.record.store import last_session, read_rows
from tests.helpers.embedding_server import FAULTS, MODEL, Service, embedding_server
from tests.helpers.runs import run_bench, run_here

KEY = "nvapi-not-a-real-key-7f3a"
QUICK = ("--suite", "embedded", "--measure-seconds", "0.3", "-k", "serving")


def served(folder: Path) -> ServingSummary:
    (found,) = read_serving(last_session(read_rows(folder / "rows.jsonl")))
    return found


def options(service: Service, folder: Path, engine_cache: Path, model: str = MODEL) -> tuple[str, ...]:
    return (
        *(*QUICK, "--nv-clip", service.url, "--nv-clip-model", model),
        *("--output", str(folder), "--engine-cache", str(engine_cache)),
    )


def test_a_service_with_faults_is_measured_judged_and_its_key_is_nowhere(tmp_path: Path, engine_cache: Path) -> None:
    rng = random.Random(1)
    kinds = [fault for fault in FAULTS if fault != "slow body"]
    faults = [rng.choice(kinds) if number > 3 and rng.random() < 0.02 else "" for number in range(5000)]
    with embedding_server(lambda number: faults[number], key=KEY) as service:
        # In a process of its own: workers fork off one that keeps the environment in which it was started.
        environment = {**os.environ, "NVIDIA_API_KEY": KEY}
        asked = (*options(service, tmp_path / "run", engine_cache), "--nv-clip-price", "3.6/h")
        done = run_bench(*asked, env=environment)

    assert done.returncode == Status.PASSED, done.stdout
    assert service.seen_keys == {f"Bearer {KEY}"}, "it went out, with every request"
    found = served(tmp_path / "run")
    speed, accuracy = found.speed, found.accuracy
    assert isinstance(speed, ServingSpeed) and isinstance(accuracy, ServingAccuracy)
    assert [load.callers for load in speed.loads] == [1, 4, 16] and speed.images_per_request == 8
    assert all(load.compute_ms is None and load.latency_ms for load in speed.loads), "it tells nothing of itself"
    best = max(load.images_per_second or 0 for load in speed.loads)
    assert speed.price_per_thousand == pytest.approx(3.6 / 3600 / best * 1000)
    assert (speed.requests or 0) + (accuracy.requests or 0) == service.requests
    # It serves the suite's own CLIP: all answers are the suite's, right or wrong.
    by_name = {metric.name: metric for metric in accuracy.metrics}
    assert by_name["agreement with the suite's CLIP"].value == 1.0
    assert by_name["zero-shot top-1"].ratio_value == 1.0 and not by_name["zero-shot top-1"].gated
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for told in (done.stdout, page):
        assert "HTTP client → NV-CLIP → client" in told and "a thousand images cost" in told
    everywhere = [path for folder in (tmp_path, engine_cache) for path in folder.rglob("*") if path.is_file()]
    assert len(everywhere) > 5
    assert not [path for path in everywhere if KEY.encode() in path.read_bytes()]
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("key", "model", "status", "outcome", "reason"),
    [
        ("", "nvidia/nvclip", Status.PASSED, "skipped", "has no model nvidia/nvclip: status 404"),
        ("another", MODEL, Status.CASE_LOST, "error", "refuses the request: status 401"),
    ],
    ids=["a model that was withdrawn", "a key"],
)
def test_what_a_service_refuses_is_a_reason_in_its_row_alone(
    key: str, model: str, status: int, outcome: str, reason: str, tmp_path: Path, engine_cache: Path
) -> None:
    with embedding_server(key=key) as service:
        done = run_here(*options(service, tmp_path, engine_cache, model))

    assert done.returncode == status, done.stdout
    found = served(tmp_path)
    assert set(found.outcomes.values()) == {outcome} and all(reason in each for each in found.reasons.values())
    assert reason in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_hosted_service_without_a_key_is_skipped(
    tmp_path: Path, engine_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NVIDIA_API_KEY", "NGC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    matrix = ("--models", "clip-image", "--backends", "pytorch", "--precisions", "fp32", "--batches", "1")
    done = run_here(
        *(*QUICK[:4], *matrix, "--nv-clip", "hosted", "--output", str(tmp_path), "--engine-cache", str(engine_cache))
    )

    assert done.returncode == Status.PASSED, done.stdout
    found = served(tmp_path)
    assert found.outcomes == {"matrix": "skipped"} and "NVIDIA_API_KEY" in found.reasons["matrix"]


def test_without_a_server_one_line_says_how_to_give_one(tmp_path: Path) -> None:
    done = run_here(*QUICK, "--output", str(tmp_path))

    assert "served models are measured where --triton URL|start or --nv-clip URL|hosted is given" in done.stdout
    assert not (tmp_path / "rows.jsonl").exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--triton", "localhost:8000", "is no URL of a server"),
        ("--nv-clip", "https://me:secret@host/v1", "holds more than host, port and path"),
        ("--nv-clip", "https://host/v1?key=secret", "holds more than host, port and path"),
        ("--nv-clip-price", "3 a month", "is no price"),
        ("--nv-clip-requests", "0", "out of range"),
    ],
)
def test_what_is_no_server_is_a_usage_error(option: str, value: str, said: str, tmp_path: Path) -> None:
    done = run_here(*QUICK, option, value, "--output", str(tmp_path))

    assert done.returncode == 4 and said in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_a_record_from_before_served_models_has_no_section(tmp_path: Path) -> None:
    from fixtures import ROOT

    rows = read_rows(ROOT / "reports/published/h200/rows.jsonl")
    page = write_report(rows, tmp_path).read_text(encoding="utf-8")

    assert "Behind a server" not in page
