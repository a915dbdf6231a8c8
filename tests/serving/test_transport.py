"""Where a key may go, and what a URL of a server is."""

import pickle

import pytest

from fixtures.errors import BenchError
from fixtures.serving.transport import ApiKey, Endpoint

KEY = "nvapi-not-a-real-key-7f3a"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8000", "no URL"),
        ("ftp://host", "no URL"),
        ("", "no URL"),
        ("http://me:secret@host:8000", "the URL of host holds a user or password"),
    ],
)
def test_what_is_no_url_is_refused(url: str, said: str) -> None:
    with pytest.raises(BenchError, match=said) as caught:
        Endpoint(url)

    assert "secret" not in str(caught.value)


def test_a_key_goes_over_https_or_stays_on_the_machine() -> None:
    with pytest.raises(BenchError, match="would go out in the clear"):
        Endpoint("http://example.org:8000/v1", ApiKey(KEY))
    assert Endpoint("https://example.org/v1", ApiKey(KEY)).key is not None
    assert Endpoint("http://127.0.0.1:8000", ApiKey(KEY)).is_local
    assert not Endpoint("http://example.org:8000").is_local


def test_a_key_is_not_shown_and_not_stored() -> None:
    key = ApiKey(KEY)

    assert KEY not in f"{key} {key!r} {[key]}"
    assert key.authorization() == f"Bearer {KEY}"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_a_key_comes_from_the_first_variable_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", " ")
    monkeypatch.setenv("TWO", KEY)

    found = ApiKey.from_environment("ONE", "TWO")

    assert found is not None and found.authorization().endswith(KEY)
    assert ApiKey.from_environment("ONE") is None
