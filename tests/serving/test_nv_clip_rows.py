"""What is known of a service whose numbers nobody knows, and when its answers are none."""

from collections.abc import Callable

import numpy as np
import pytest

from fixtures.accuracy.zero_shot import Embeddings
from fixtures.assets.loader import SuiteAssets
from fixtures.datasets.base import ZeroShotSet
from fixtures.plan.suite import Suite
from fixtures.serving.nv_clip import NvClip
from fixtures.serving.nv_clip_rows import check_known_answer, judge
from fixtures.serving.results import KnownAnswerError
from fixtures.serving.retries import RequestBudget
from fixtures.serving.transport import Endpoint
from tests.helpers.embedding_server import MODEL, embedding_server

Distort = Callable[[np.ndarray, list[str]], np.ndarray]


@pytest.fixture(scope="module")
def data() -> ZeroShotSet:
    return SuiteAssets(Suite("embedded", "for tests")).zero_shot


def known(data: ZeroShotSet, distort: Distort | None = None) -> str:
    with embedding_server(distort=distort) as service:
        return check_known_answer(NvClip(Endpoint(f"{service.url}/v1"), MODEL, RequestBudget(100)), data)


def texts_turned(rows: np.ndarray, inputs: list[str]) -> np.ndarray:
    """Texts by another model than images: what a wrong deployment of two towers gives."""
    turned = rows.copy()
    places = [place for place, each in enumerate(inputs) if not each.startswith("data:")]
    turned[places] = -rows[places]
    return turned


def test_a_right_service_is_known_by_its_answers(data: ZeroShotSet) -> None:
    said = known(data)

    assert "asked twice: cosine at least 1.0000" in said and "nearer to the prompt of their class by 0." in said


@pytest.mark.parametrize(
    ("distort", "said"),
    [
        (lambda rows, _: np.roll(rows, 1, axis=0), "asked twice has embeddings of cosine"),
        (lambda rows, _: np.tile(rows[:1] * 0 + 1, (len(rows), 1)), "different images have the same embedding"),
        (texts_turned, "no nearer to the prompt of their class"),
    ],
    ids=["another place", "one for all", "two models"],
)
def test_a_service_that_is_wrong_without_a_fault_is_not_timed(distort: Distort, said: str, data: ZeroShotSet) -> None:
    with pytest.raises(KnownAnswerError, match=said):
        known(data, distort)


def test_another_network_is_shown_beside_the_suites_and_not_gated(data: ZeroShotSet) -> None:
    """Right in half of the images, and with the suite's CLIP, which is right in all, of one opinion there alone."""
    texts = np.eye(len(data.prompts))
    right = texts[list(data.labels)]
    other = right.copy()
    other[::2] = np.roll(right[::2], 1, axis=1)

    metrics, details, failure = judge(Embeddings(other, texts), Embeddings(right, texts), data)

    assert [(metric.name, metric.value, metric.gated) for metric in metrics] == [
        ("zero-shot top-1", 0.5, False),
        ("agreement with the suite's CLIP", 0.5, False),
    ]
    assert not failure and details["prompts"] == len(texts)


def test_answers_no_better_than_guessing_fail(data: ZeroShotSet) -> None:
    texts = np.eye(len(data.prompts))
    right = texts[list(data.labels)]
    wrong = np.roll(right, 1, axis=1)

    *_, failure = judge(Embeddings(wrong, texts), Embeddings(right, texts), data)

    assert "no better than guessing" in failure
