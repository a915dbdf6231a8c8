"""Photos and an engine cache that the tests of the command share; engines are built once a session."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.photos.drawn import draw_photo, encode, recipe
from fixtures.pipeline.library import command
from fixtures.pipeline.library.predictor import PhotoPredictor, PredictorSettings

SIZE = (640, 480)


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session")
def drawn_bytes() -> list[bytes]:
    """Twelve photos as cameras store them: every encoding, every orientation."""
    recipes = [recipe(number, SIZE) for number in range(12)]
    return [encode(draw_photo(4_000_000 + number, how.shown_size).pixels, how) for number, how in enumerate(recipes)]


@pytest.fixture
def photo_folder(drawn_bytes: list[bytes], tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, data in enumerate(drawn_bytes):
        path = folder / ("day 1" if number < 6 else "day 2") / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def opened() -> Iterator[dict[PredictorSettings, PhotoPredictor]]:
    """Predictors that earlier tests opened, by their settings."""
    predictors: dict[PredictorSettings, PhotoPredictor] = {}
    yield predictors
    for predictor in predictors.values():
        PhotoPredictor.close(predictor)


@pytest.fixture
def kept_open(opened: dict[PredictorSettings, PhotoPredictor], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes a predictor that is open already, where one has its settings: opening takes seconds."""

    class Kept(PhotoPredictor):
        def close(self) -> None:
            pass

    def take(settings: PredictorSettings, *rest: Any) -> PhotoPredictor:
        # The one taken last stands last.
        predictor = opened.pop(settings, None) or Kept(settings, *rest)
        opened[settings] = predictor
        return predictor

    monkeypatch.setattr(command, "PhotoPredictor", take)
