"""A run, its engine cache and a choice → a bundle. Needs neither PyTorch nor the machine that the run was made on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.analysis.answer import THROUGHPUT
from reports.analysis.cases import CaseSummary, summarize, tolerance
from reports.bundle.contents import ULTRALYTICS_BACKEND, contents
from reports.bundle.format import Bundle, BundledFile, CaseName, Origin, gate_of, speed_of
from reports.bundle.machine import machine_of
from reports.bundle.writing import Copied, Made, write_bundle
from reports.description.suite_description import DATA_OF, WEIGHTS_OF
from reports.errors import ReportError
from reports.record.hashing import content_sha256
from reports.record.results import CacheFile
from reports.record.schema import Row
from reports.record.session import Settings, SuitePart, read_environment, read_settings, read_suite
from reports.record.store import last_session
from reports.shipping.choice import Choice, choose_case, choose_model

AGAIN = "run the benchmark again with the same options, and ship that run"


@dataclass(frozen=True)
class Wanted:
    """What to ship: the best of `model` for `mode`, or the case `case_id`. `engine_cache` is None for the run's own."""

    model: str = ""
    case_id: str = ""
    mode: str = THROUGHPUT
    engine_cache: Path | None = None


def ship(rows: Sequence[Row], wanted: Wanted, output: Path) -> Bundle:
    """Write the bundle to `output`. Raises `ReportError` where nothing can be shipped, or a file is not there."""
    session = last_session(list(rows))
    cases, least = summarize(session), 1 - tolerance(session)
    if wanted.case_id:
        choice = choose_case(cases, wanted.case_id, least)
    else:
        choice = choose_model(cases, wanted.model, wanted.mode, least)
    settings = read_settings(session[0])
    files = _files(choice.case, wanted.engine_cache, settings, str(session[0]["at"]))

    def describe(bundled: tuple[BundledFile, ...]) -> Bundle:
        return _describe(session[0], settings, choice, bundled)

    return write_bundle(output, files, describe)


def _name(case: CaseSummary) -> CaseName:
    return CaseName(
        model=case.model,
        task="detection" if case.task == "detection" else "zero-shot",
        backend=case.backend,
        precision=case.precision,
        batch=case.batch,
        streams=case.streams,
        dynamic_batch=bool(case.build.dynamic_batch),
    )


def _files(case: CaseSummary, cache_folder: Path | None, settings: Settings, at: str) -> list[Copied | Made]:
    build, labels = case.build, case.accuracy.labels_file
    if build.engine_file is None or not build.interface.kind:
        raise ReportError(
            f"{case.id}: the record does not say where its engine lies: an earlier version wrote it", hint=AGAIN
        )
    if case.engine_sha256 != build.engine_file.sha256:
        raise ReportError(f"{case.id}: the engine that was measured is not the one that was built", hint=AGAIN)
    cache = _cache(cache_folder, settings)
    engine, graph = _cached_file(cache, build.engine_file), build.graph_file
    parts = build.engine_file.parts
    if parts and content_sha256(engine, [engine.parent / part for part in parts]) != build.engine_file.sha256:
        raise ReportError(f"{engine} and what belongs to it are not what was measured: they have changed", hint=AGAIN)
    return contents(
        _name(case),
        build.interface,
        at,
        engine,
        "" if parts else build.engine_file.sha256,
        parts,
        # Ultralytics makes a graph of its own, and keeps none.
        _cached_file(cache, graph) if graph and case.backend != ULTRALYTICS_BACKEND else None,
        graph.sha256 if graph else "",
        _cached_file(cache, labels) if labels else None,
        labels.sha256 if labels else "",
    )


def _cache(given_folder: Path | None, settings: Settings) -> Path:
    """The engine cache of the run. Raises `ReportError` where it is not here."""
    folder = given_folder or (Path(settings.engine_cache) if settings.engine_cache else None)
    if folder is not None and folder.is_dir():
        return folder
    named = settings.engine_cache or "its option --engine-cache, or .engines in its checkout"
    raise ReportError(
        f"the engine cache of this run is not here: {folder or 'the record names none'}",
        hint=f"give --engine-cache DIR, the folder that the run built its engines in ({named})",
    )


def _cached_file(cache: Path, file: CacheFile) -> Path:
    """A file of the cache. Raises `ReportError` where it is gone, or its name leads elsewhere."""
    path = cache / file.path
    if not path.resolve().is_relative_to(cache.resolve()) or not path.is_file():
        raise ReportError(
            f"{cache} does not hold {file.path}: another engine cache, or it was deleted to keep within a limit",
            hint=f"give the --engine-cache that the run used; or {AGAIN}",
        )
    return path


def _describe(session: Row, settings: Settings, choice: Choice, files: tuple[BundledFile, ...]) -> Bundle:
    case, suite = choice.case, read_suite(session["suite"])
    environment = read_environment(session["environment"])
    weights, data = (suite.get(of[case.task], SuitePart()) for of in (WEIGHTS_OF, DATA_OF))
    speed = speed_of(case.speed, case.batch, settings.measure_seconds)
    assert speed is not None  # of a case that may be shipped
    return Bundle(
        format=1,
        case=_name(case),
        origin=Origin(
            session=str(session["session"]),
            at=str(session["at"]),
            advice=" ".join(choice.advice.split()),
            suite=str(session["suite"].get("name", "")),
            weights=weights.name,
            weights_sha256=weights.sha256 or "",
            data=data.name,
            evaluation_images=case.accuracy.evaluation_images,
            calibration_images=case.accuracy.calibration_images,
        ),
        machine=machine_of(environment, "cuda" if settings.on_gpu else "cpu"),
        built_with=case.build.built_with,
        packages=environment.packages,
        interface=case.build.interface,
        speed=speed,
        metrics=case.metrics,
        gate=gate_of(case.metrics, settings.tolerance),
        files=files,
    )
