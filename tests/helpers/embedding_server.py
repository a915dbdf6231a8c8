"""A real HTTP server with NV-CLIP's schema over the embedded CLIP, which can be told to fail."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import torch

from fixtures.embedded.weights import clip_path
from fixtures.models.clip import ClipImageModel, ClipTextModel, clip_towers, read_clip

MODEL = "embedded/clip-shapes"
# Faults by name; anything else is answered as it should be.
FAULTS = (
    "429", "429 now", "500", "503", "broken off", "half an answer", "wrong dimension", "slow body", "wrong order",
    "an index twice", "not JSON", "a NaN", "zeros",
)  # fmt: skip


@cache
def towers() -> tuple[ClipImageModel, ClipTextModel, torch.nn.Module, torch.nn.Module]:
    source = str(clip_path())
    images, texts = clip_towers(source, False, read_clip(source, False))
    return images, texts, images.module(), texts.module()


_known: dict[str, np.ndarray] = {}


def embeddings(inputs: list[str]) -> np.ndarray:
    """What the embedded CLIP makes of texts and of images as data URIs; of the same input always the same bits."""
    if new := [each for each in dict.fromkeys(inputs) if each not in _known]:
        _known.update(zip(new, _embedded(new), strict=True))
    return np.stack([_known[each] for each in inputs])


def _embedded(inputs: list[str]) -> np.ndarray:
    images, texts, image_tower, text_tower = towers()
    rows: list[np.ndarray | None] = [None] * len(inputs)
    for model, tower, wanted in ((images, image_tower, True), (texts, text_tower, False)):
        places = [place for place, each in enumerate(inputs) if each.startswith("data:image/") is wanted]
        if not places:
            continue
        items: list[Any] = [_decoded(inputs[place]) if wanted else inputs[place] for place in places]
        with torch.inference_mode():
            found = tower(model.prepare(items)).numpy()
        for place, row in zip(places, found, strict=True):
            rows[place] = row
    return np.stack([row for row in rows if row is not None])


def _decoded(uri: str) -> np.ndarray:
    content = np.frombuffer(base64.b64decode(uri.partition("base64,")[2]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@dataclass
class Service:
    """A running server: what it was asked, and which fault answers request number n (from 0)."""

    fault: Callable[[int], str]
    key: str = ""
    slow_s: float = 0.3
    distort: Callable[[np.ndarray, list[str]], np.ndarray] | None = None
    """What becomes of the embeddings of a request before they are sent: a service that is wrong without a fault."""
    requests: int = 0
    answered: list[str] = field(default_factory=list)
    """Every input that was embedded and sent back whole."""
    seen_keys: set[str] = field(default_factory=set)
    url: str = ""
    lock: Any = field(default_factory=threading.Lock)


@contextmanager
def embedding_server(
    fault: Callable[[int], str] = lambda _: "",
    key: str = "",
    slow_s: float = 0.3,
    distort: Callable[[np.ndarray, list[str]], np.ndarray] | None = None,
) -> Iterator[Service]:
    service = Service(fault, key, slow_s, distort)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small answers in two writes: without it each waits for the other side's delayed acknowledgement.
    disable_nagle_algorithm = True
    service: Service

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the base class)
        """Nothing."""

    def do_GET(self) -> None:
        self._send(200 if self.path == "/v1/health/ready" else 404, {"object": "health.response"})

    def do_POST(self) -> None:
        service = self.service
        content = self.rfile.read(int(self.headers["Content-Length"]))
        authorization = self.headers.get("Authorization", "")
        with service.lock:
            number, service.requests = service.requests, service.requests + 1
            service.seen_keys.add(authorization)
        if service.key and authorization != f"Bearer {service.key}":
            # As some services do, it repeats what it was sent.
            self._send(401, {"detail": f"not authorized: {authorization}"})
            return
        if self.path != "/v1/embeddings":
            self._send(404, {"detail": "no such path"})
            return
        body = json.loads(content)
        extra = set(body) - {"input", "model", "encoding_format"}
        inputs = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if extra or not 1 <= len(inputs) <= 64 or body.get("encoding_format") != "float":
            self._send(422, {"detail": f"extra keys {sorted(extra)}, {len(inputs)} inputs"})
            return
        if body["model"] != MODEL:
            self._send(404, {"detail": f"no model {body['model']}"})
            return
        self._answer(inputs, service.fault(number))

    def _answer(self, inputs: list[str], fault: str) -> None:
        if fault in ("429", "429 now", "500", "503"):
            headers = {"Retry-After": "0"} if fault == "429 now" else {}
            self._send(int(fault[:3]), {"detail": f"told to: {fault}"}, headers)
            return
        rows = embeddings(inputs)
        if self.service.distort is not None:
            rows = self.service.distort(rows, inputs)
        if fault == "wrong dimension":
            rows = rows[:, :-1]
        elif fault == "a NaN":
            rows[0, 0] = np.nan
        elif fault == "zeros":
            rows[-1] = 0
        data = [{"index": place, "object": "embedding", "embedding": row.tolist()} for place, row in enumerate(rows)]
        if fault == "half an answer":
            data = data[: len(data) // 2]
        elif fault == "wrong order":
            data.reverse()
        elif fault == "an index twice":
            data[-1]["index"] = 0 if len(data) > 1 else 7
        if fault in ("", "wrong order"):
            with self.service.lock:
                self.service.answered += inputs
        usage = {"num_images": sum(each.startswith("data:") for each in inputs), "prompt_tokens": 0, "total_tokens": 0}
        self._send(200, {"object": "list", "data": data, "model": MODEL, "usage": usage}, fault=fault)

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None, fault: str = "") -> None:
        content = json.dumps(body).encode()
        if fault == "not JSON":
            content = b"<html>gateway</html>"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if fault == "broken off":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        if fault == "slow body":
            # A piece now and then: no single read takes long.
            for start in range(0, len(content), max(1, len(content) // 20)):
                try:
                    self.wfile.write(content[start : start + max(1, len(content) // 20)])
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(self.service.slow_s)
            return
        self.wfile.write(content)
