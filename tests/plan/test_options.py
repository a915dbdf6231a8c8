import json
from dataclasses import fields
from pathlib import Path

import pytest

from fixtures.accuracy.gate import check_tolerance
from fixtures.errors import BenchError
from fixtures.plan import options_page
from fixtures.plan.option_table import AUTO_BATCHES, BENCH_OPTIONS, COMMANDS, TABLE
from fixtures.plan.options import Options
from fixtures.plan.suite import choose_suite
from reports.command_line import options_of
from reports.option_table import COMMANDS as REPORTS_COMMANDS
from reports.option_table import TABLE as REPORTS_TABLE
from tests.helpers.runs import raw_options


def _options(**changed: str | bool) -> Options:
    return Options.from_values(raw_options(**changed), Path("/root-of-the-checkout"))


def test_defaults():
    options = _options()
    assert options.batches == (1, 8)
    assert options.tolerance == 0.02
    assert options.engine_cache == Path("/root-of-the-checkout/.engines")


def test_each_field_has_one_option_and_each_option_one_field():
    targets = [option.target for option in BENCH_OPTIONS]
    # `--batches auto` is two of them: the sizes, and that not all of them need be measured.
    assert sorted([*targets, "until_knee"]) == sorted(field.name for field in fields(Options))
    assert all(getattr(_options(), target) is not None for target in targets)


PATHS = ("yolo", "clip", "coco_images", "coco_annotations", "calibration_images", "engine_cache", "output", "resume")


@pytest.mark.parametrize("option", [*PATHS, "history"])
def test_the_home_folder_is_found_in_every_path(option: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/anna")
    assert str(getattr(_options(**{option: "~/here"}), option)) == "/home/anna/here"


def test_every_option_of_a_command_that_names_a_file_or_folder_expands_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/anna")
    options = [
        each for each in (*TABLE, *REPORTS_TABLE) if any(word in each.metavar for word in ("DIR", "FILE", "ROWS"))
    ]
    assert len(options) > 20
    for option in options:
        assert str(option.value("~/here")) == "/home/anna/here", option.name


def test_no_command_has_an_option_twice():
    for table, command in [
        *((TABLE, each) for each in COMMANDS),
        *((REPORTS_TABLE, each) for each in REPORTS_COMMANDS),
    ]:
        names = [option.name for option in options_of(table, command)]
        assert names and len(names) == len(set(names))


def test_the_page_of_the_options_is_what_the_tables_say():
    assert options_page.PAGE.read_text(encoding="utf-8") == options_page.page(), "python -m fixtures.plan.options_page"


def test_lists_are_split_and_batches_sorted():
    options = _options(batches="8, 1,8", backends="pytorch, onnxruntime")
    assert options.batches == (1, 8)
    assert options.backends == ("pytorch", "onnxruntime")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("batches", "0", "--batches"),
        ("batches", "eight", "--batches"),
        ("batches", "2000", "--batches"),
        ("device", "tpu", "--device: unknown 'tpu'"),
        ("suite", "fake", "--suite: unknown 'fake'"),
        ("tolerance", "two", "--tolerance: 'two' is not a number"),
        ("measure_seconds", "-1", "--measure-seconds"),
        ("measure_seconds", "nan", "--measure-seconds"),
    ],
)
def test_a_bad_value_is_refused_by_name(option: str, value: str, message: str):
    with pytest.raises(BenchError, match=message) as error:
        _options(**{option: value})
    assert "hint" in str(error.value)


@pytest.mark.parametrize("tolerance", ["-0.01", "1", "2", "nan", "inf"])
def test_a_tolerance_out_of_range_is_refused(tolerance: str):
    with pytest.raises(BenchError, match=r"--tolerance 0\.02"):
        check_tolerance(_options(tolerance=tolerance).tolerance)


@pytest.fixture
def nothing_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Ultralytics settings or a Hugging Face cache."""
    for name in ("YOLO_CONFIG_DIR", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return tmp_path


def test_without_real_weights_the_embedded_suite_runs_and_says_why(nothing_found: Path):
    suite = choose_suite(_options(), nothing_found)
    assert suite.name == "embedded"
    assert "no yolov8n.pt and no COCO" in suite.why
    assert not suite.download
    assert [slot.reason for slot in suite.models()] == ["", "", ""]


@pytest.mark.parametrize("place", ["settings.json", "Ultralytics/settings.json"])
def test_ultralytics_settings_are_found_where_its_versions_keep_them(nothing_found: Path, place: str):
    settings = nothing_found / "empty" / place
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"datasets_dir": str(nothing_found / "data"), "weights_dir": str(nothing_found)}))
    (nothing_found / "yolov8n.pt").touch()
    (nothing_found / "data/coco/images/val2017").mkdir(parents=True)
    (nothing_found / "data/coco/annotations").mkdir()
    (nothing_found / "data/coco/annotations/instances_val2017.json").touch()
    assert choose_suite(_options(), nothing_found / "elsewhere").name == "real"


def test_weights_and_data_in_their_usual_places_make_the_suite_real(nothing_found: Path):
    (nothing_found / "yolov8n.pt").touch()
    (nothing_found / "datasets/coco/images/val2017").mkdir(parents=True)
    (nothing_found / "datasets/coco/annotations").mkdir()
    (nothing_found / "datasets/coco/annotations/instances_val2017.json").touch()
    suite = choose_suite(_options(), nothing_found)
    assert suite.name == "real"
    assert "found" in suite.why
    assert not suite.download
    assert "no CLIP weights" in suite.models()[1].reason


def test_named_weights_make_the_suite_real_without_a_download(nothing_found: Path):
    suite = choose_suite(_options(yolo="my/net.pt", coco_images="i", coco_annotations="a"), nothing_found)
    assert (suite.name, suite.download) == ("real", False)
    assert [slot.name for slot in suite.models()] == ["net", "clip-image", "clip-text"]
    assert [bool(slot.reason) for slot in suite.models()] == [False, True, True]


def test_a_detector_without_images_is_listed_with_the_reason(nothing_found: Path):
    suite = choose_suite(_options(yolo="net.pt"), nothing_found)
    assert "--coco-images" in suite.models()[0].reason


def test_only_the_real_suite_on_demand_may_download(nothing_found: Path):
    suite = choose_suite(_options(suite="real"), nothing_found)
    assert suite.download
    assert (suite.yolo, suite.clip) == ("yolov8n.pt", "openai/clip-vit-base-patch32")


def test_contradicting_options_are_refused(nothing_found: Path):
    with pytest.raises(BenchError, match="--suite embedded brings its own"):
        choose_suite(_options(suite="embedded", yolo="net.pt"), nothing_found)
    with pytest.raises(BenchError, match="belong together"):
        choose_suite(_options(coco_images="images"), nothing_found)


def _tao(folder: Path, kind: str = "classification", name: str = "net.toml") -> str:
    (folder / "net.onnx").touch()
    text = f"kind = '{kind}'\nartifact = 'net.onnx'\nclasses = ['a', 'b']\nsize = [64, 64]"
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_tao_artifact_is_one_more_model(nothing_found: Path, tmp_path: Path):
    classifier = choose_suite(_options(tao=_tao(tmp_path), scenes="s"), nothing_found).models()[-1]
    assert (classifier.name, classifier.task, classifier.reason) == ("net", "tao-classification", "")
    path = _tao(tmp_path, "yolo_v4")
    detector = choose_suite(_options(tao=path, coco_images="i", coco_annotations="a"), nothing_found).models()[-1]
    assert (detector.name, detector.task, detector.reason) == ("net", "tao-detection", "")


def test_a_tao_artifact_without_its_data_is_listed_with_the_reason(nothing_found: Path, tmp_path: Path):
    assert "give --scenes" in choose_suite(_options(tao=_tao(tmp_path), data="d"), nothing_found).models()[-1].reason
    detector = choose_suite(_options(tao=_tao(tmp_path, "yolo_v4"), scenes="s"), nothing_found).models()[-1]
    assert "give --data" in detector.reason


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"suite": "embedded"}, "--tao is given too"),
        ({"yolo": "net.pt"}, "another model of the run is called net"),
    ],
)
def test_a_tao_artifact_that_cannot_be_added(changed: dict[str, str], said: str, nothing_found: Path, tmp_path: Path):
    with pytest.raises(BenchError, match=said):
        choose_suite(_options(tao=_tao(tmp_path), **changed), nothing_found)


def test_a_description_that_is_absent_is_an_error_of_usage(nothing_found: Path):
    with pytest.raises(BenchError, match="no description of a TAO artifact"):
        choose_suite(_options(tao="nowhere.toml"), nothing_found)


def test_automatic_batches_are_a_ladder_that_may_end_early():
    assert (_options(batches="auto").batches, _options(batches="auto").until_knee) == (AUTO_BATCHES, True)
    assert (_options(batches="1,8").batches, _options(batches="1,8").until_knee) == ((1, 8), False)


def test_streams_and_the_memory_limit_are_checked():
    assert _options(streams="2,1,2").streams == (1, 2)
    assert _options(memory_limit="11").memory_limit_bytes == 11 * 10**9
    with pytest.raises(BenchError, match="--streams: 0 is out of range"):
        _options(streams="0")
