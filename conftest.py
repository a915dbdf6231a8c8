"""Options and hooks of the suite. Imports nothing heavy: `pytest-benchmark compare` loads this file too."""

from typing import Any

import pytest

from fixtures import ROOT
from fixtures.errors import BenchError
from fixtures.isolation.pool import CaseFailedError
from fixtures.plan.options import DEVICES, SUITES, Options
from fixtures.pytest_plugin.benchmark_replay import ReplayTimer
from fixtures.pytest_plugin.session import QUESTIONS, RUN_KEY, BenchRun, StageOutcome
from fixtures.pytest_plugin.terminal import closing_section, header_lines
from reports.errors import ReportError

pytest_plugins = ["fixtures.pytest_plugin.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("image-engine-bench")

    def add(name: str, text: str, default: str = "", **more: Any) -> None:
        group.addoption(name, default=default, help=text, **more)

    add("--suite", f"which weights and data: {', '.join(SUITES)} (default: real ones where found)", "auto")
    add("--yolo", "a YOLOv8 detection checkpoint (.pt)")
    add("--clip", "a CLIP: hub id, transformers folder, or 'untrained' (ViT-B/32 for speed alone)")
    add("--coco-images", "folder of the COCO images")
    add("--coco-annotations", "COCO instances file for those images")
    add("--calibration-images", "folder of other images that calibrate INT8 (default: half of the COCO images)")
    add("--models", "comma-separated models (default: all)")
    add("--backends", "comma-separated backends (default: all)")
    add(
        "--precisions",
        "comma-separated precisions: fp32, fp16, int8 (default: all but cells that would say nothing here)",
    )
    add("--batches", "comma-separated batch sizes (default: 1,8)")
    add("--device", f"{', '.join(DEVICES)} (default: cuda where there is a card)", "auto")
    add("--tolerance", "share of the baseline's score that may be lost (default: 0.02)", "0.02")
    add("--measure-seconds", "time limit for measuring one speed cell (default: 2 on a CPU, 30 on a GPU)")
    add("--processes", "how many processes time each case, one after another; the mean counts (default: 1)", "1")
    add("--energy-seconds", "length of the energy pass of a cell on a GPU, 0 for none (default: 5)", "5")
    add("--engine-cache", "folder of built graphs and engines (default: .engines)")
    add("--engine-cache-limit", "GB that the cache may hold, 0 for no limit (default: 20)", "20")
    add("--trt-workspace", "MiB that a TensorRT builder may use for tactics, 0 for all (default: 4096)", "4096")
    add("--trt-level", "TensorRT's builder optimisation level, 0 to 5 (default: 3)", "3")
    add("--case-seconds", "what one question of a case may take before its process is ended (default: 3600)", "3600")
    add(
        "--resume",
        "folder of an interrupted run: go on in the same session. A case that has all of its answers, and good ones, "
        "is not asked again; one that lacks an answer, failed or was lost is asked again from its build on",
    )
    add("--shard", "i/n: the i-th of n parts of the matrix; `python -m reports merge` joins their records")
    add(
        "--history",
        "folder of earlier nights: this run is appended and compared, by the thresholds.toml that may lie there",
    )
    add("--output", "folder of the record and the report (default: reports/runs/<session>)")
    group.addoption("--rebuild", action="store_true", default=False, help="build every graph and engine again")


def pytest_configure(config: pytest.Config) -> None:
    names = (
        "suite", "yolo", "clip", "coco_images", "coco_annotations", "calibration_images", "models", "backends",
        "precisions", "batches", "device", "tolerance", "measure_seconds", "energy_seconds", "engine_cache",
        "engine_cache_limit", "output", "rebuild", "trt_workspace", "trt_level", "case_seconds", "processes", "resume",
        "shard", "history",
    )  # fmt: skip
    try:
        options = Options.from_values({name: config.getoption(name) for name in names}, ROOT)
        config.stash[RUN_KEY] = BenchRun(options, ROOT, lambda text: _progress(config, text))
    except BenchError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    return header_lines(config.stash[RUN_KEY])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    params = []
    for case_id, cell in metafunc.config.stash[RUN_KEY].cells.items():
        params.append(pytest.param(case_id, id=case_id, marks=getattr(pytest.mark, cell.case.precision)))
    metafunc.parametrize("case", params, indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A case answers all its questions before the next one is built: one engine in memory at a time.

    Cells that this machine cannot run are taken out here, after `-k` and `-m` have chosen. The record and the
    closing lines name them with their reasons, once; hundreds of skipped tests would bury what was measured.
    """
    run = config.stash[RUN_KEY]
    ours = {item: _identity(item) for item in _ours(items)}
    looking_back = [item for item in items if "bench_run" in getattr(item, "fixturenames", ()) and item not in ours]
    if looking_back and not run.options.history:
        config.hook.pytest_deselected(items=looking_back)
        items[:] = [item for item in items if item not in looking_back]
    for item in looking_back:
        item.add_marker(pytest.mark.benchmark(timer=ReplayTimer(), group="history"))
    if not ours and run.earlier is None:
        return
    cells = run.cells
    cannot_run = [item for item, (case_id, _) in ours.items() if not cells[case_id].runs]
    if cannot_run:
        run.cannot_run = list(dict.fromkeys(ours[item][0] for item in cannot_run))
        config.hook.pytest_deselected(items=cannot_run)
        ours = {item: identity for item, identity in ours.items() if cells[identity[0]].runs}
        items[:] = [item for item in items if item not in cannot_run]
    for item, (case_id, question) in ours.items():
        case = cells[case_id].case
        item.add_marker(pytest.mark.benchmark(timer=ReplayTimer(), group=f"{question} {case.model} b{case.batch}"))
    if run.earlier is not None:
        selected = set(ours.values())
        try:
            run.asked_again = run.earlier.describe_reruns(selected)
        except BenchError as error:
            raise pytest.UsageError(str(error)) from None
        completed = run.earlier.completed(selected)
        answered = [item for item, identity in ours.items() if identity in completed]
        config.hook.pytest_deselected(items=answered)
        ours = {item: identity for item, identity in ours.items() if item not in answered}
        items[:] = [item for item in items if item not in answered]
    run.asked = frozenset(ours.values())
    cases, stages = list(cells), list(QUESTIONS.values())

    def place(item: pytest.Item) -> tuple[int, int]:
        if item not in ours:
            return (len(cases) if item in looking_back else -1, 0)
        case_id, question = ours[item]
        return (cases.index(case_id), stages.index(question))

    items.sort(key=place)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Before anything is asked: what an earlier part of this session left undone in a way that fails it."""
    return config.stash[RUN_KEY].asked_again


def pytest_collection_finish(session: pytest.Session) -> None:
    run = session.config.stash[RUN_KEY]
    of_a_whole = run.earlier is not None or run.options.shard != (1, 1)
    if not (_ours(session.items) or run.cannot_run or of_a_whole) or session.config.option.collectonly:
        return
    try:
        run.start()
    except (BenchError, ReportError, CaseFailedError) as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Write the row of a question the moment its outcome is known."""
    outcome = yield
    report = outcome.get_result()
    if not _ours([item]):
        return
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, BenchError | ReportError | CaseFailedError):
        report.longrepr = str(error)  # it says hint; a traceback would bury that
    if not _answers(report):
        return
    entry = item.stash.get(StageOutcome.KEY, StageOutcome())
    word, reason = _outcome(report, error)
    case_id, question = _identity(item)
    run = item.config.stash[RUN_KEY]
    if word == "passed" and (problem := run.problem(case_id, question, entry)):
        # The session fails for this, so the test does: JUnit and pytest's own count are made from the report.
        word, reason = "failed", problem
        report.outcome, report.longrepr = word, reason
    report.headline = entry.headline
    benchmark = getattr(item, "funcargs", {}).get("benchmark")
    if benchmark is not None:
        # Failures land in pytest-benchmark's JSON too; whoever reads it must be able to tell.
        benchmark.extra_info |= {key: value for key, value in entry.values.items() if key != "samples_ms"}
        benchmark.extra_info["outcome"] = word
    try:
        run.answer(case_id, question, word, entry, reason)
    except ReportError as failure:
        # Nothing more can be recorded, so nothing more is measured; what was written before stays.
        item.session.shouldstop = str(failure)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    headline = getattr(report, "headline", "")
    if report.when != "call" or not headline or report.skipped:
        return None
    outcome, letter = ("passed", ".") if report.passed else ("failed", "F")
    return outcome, letter, f"{outcome.upper()} {headline}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    run = session.config.stash.get(RUN_KEY, None)
    if run is None:
        return
    if not run.started:
        run.close()
        return
    try:
        # Interrupted, broken, nothing to run: pytest's own words for it stay.
        own = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if exitstatus in own or (run.earlier is not None and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED):
            nothing_left = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
            session.exitstatus = exitstatus = int(run.status()) or (0 if nothing_left else int(exitstatus))
        run.finish(int(exitstatus))
        run.write_report()
    except ReportError as error:
        run.report_error = str(error)
        session.exitstatus = max(int(exitstatus), int(pytest.ExitCode.TESTS_FAILED))
    finally:
        run.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    run = terminalreporter.config.stash.get(RUN_KEY, None)
    if run is not None and run.started:
        terminalreporter.section("image-engine-bench")
        for line in closing_section(run):
            terminalreporter.write_line(line)


def _ours(items: list[pytest.Item]) -> list[pytest.Item]:
    return [item for item in items if isinstance(item, pytest.Function) and "case" in item.fixturenames]


def _identity(item: pytest.Item) -> tuple[str, str]:
    """Case id and question of a bench item."""
    assert isinstance(item, pytest.Function)
    return str(item.callspec.params["case"]), QUESTIONS[item.originalname]


def _answers(report: pytest.TestReport) -> bool:
    """Whether this phase decides the question: the call, or a set-up that failed before it."""
    return report.when == "call" or (report.when == "setup" and not report.passed)


def _outcome(report: pytest.TestReport, error: BaseException | None) -> tuple[str, str]:
    """The record's word for an outcome, and the reason for anything but a pass."""
    if report.passed:
        return "passed", ""
    if report.skipped:
        return "skipped", str(getattr(error, "msg", error))
    if isinstance(error, AssertionError):
        return "failed", str(error)
    told = isinstance(error, BenchError | CaseFailedError)
    return "error", str(error) if told else f"{type(error).__name__}: {error}"


def _progress(config: pytest.Config, text: str) -> None:
    """A line on the terminal, past pytest's capture: long work must show that it lives."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if terminal is None or capture is None:
        return
    with capture.global_and_fixture_disabled():
        terminal.ensure_newline()
        terminal.write_line(f"  … {text}", light=True)
