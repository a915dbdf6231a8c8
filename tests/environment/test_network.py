"""No network is said in seconds, with the cause; a server that answers anything is there."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fixtures.environment.network import refuse_no_network, unreachable
from fixtures.errors import BenchError
from fixtures.plan.suite import Suite, downloads


@pytest.fixture
def server() -> Iterator[str]:
    class Refuses(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuses) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"


def test_any_answer_means_that_a_server_is_there(server: str):
    assert unreachable([server]) == {}
    refuse_no_network({"weights": server})


def test_the_cause_is_named_with_what_it_is_for(server: str, closed_port: str):
    with pytest.raises(BenchError, match=r"no network: .* cannot be reached \(COCO\): .*: Connection refused") as error:
        refuse_no_network({"weights": server, "COCO": closed_port})
    assert "--suite embedded" in error.value.hint


def test_a_server_that_says_nothing_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        begun = time.monotonic()
        causes = unreachable([address], seconds=0.3)
        assert list(causes) == [address] and time.monotonic() - begun < 3


def test_only_what_is_needed_and_absent_is_asked_for(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    every = Suite("real", "", yolo="yolov8n.pt", clip="openai/clip", coco_images="download", download=True)
    assert set(downloads(every, ("yolov8n", "clip-image"))) == {"yolov8n.pt", "openai/clip", "COCO val2017"}
    assert set(downloads(every, ("clip-image",))) == {"openai/clip", "COCO val2017"}
    (tmp_path / "yolov8n.pt").touch()
    assert set(downloads(every, ("yolov8n",))) == {"COCO val2017"}
    untrained = Suite("real", "", clip="untrained", coco_images="images", download=True)
    assert downloads(untrained, ("clip-image",)) == {}
