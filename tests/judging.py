"""A model behind a server on loopback, and a proxy that spoils what it answers.

The proxy hands every request on to a function, which is the model itself or asks a real
server, and answers as it does; or it injects a fault in the place of the answer.
"""

import collections
import contextlib
import hashlib
import http.server
import json
import math
import threading
import urllib.request

FAULTS = ("429", "500", "silence", "garbage", "half", "closed", "no_log_probs")
KEY = "sk-never-to-be-written-7f3a"


def digest(*parts):
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def completion(text, top=None, tokens=7):
    """What a server answers, as OpenAI's does."""
    listed = None
    if top is not None:
        own = [{"token": token, "logprob": value} for token, value in top]
        listed = {"content": [{**own[0], "top_logprobs": own}]}
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    return {
        "choices": [{**choice, "logprobs": listed}],
        "usage": {"total_tokens": tokens},
    }


def hashed(body):
    """A model whose answers are a hash of what it is asked."""
    p = (digest(body["messages"][0]["content"]) % 97 + 1) / 100
    return completion("1", [("1", math.log(p)), ("2", math.log(0.99 - p))])


def forward(url):
    """A model behind another server."""

    def ask(body):
        request = urllib.request.Request(
            f"{url}/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    return ask


def faults_by_hash(most, kinds=FAULTS):
    """How the first attempts of a request are spoilt: so many of them at most."""

    def fault(text, attempt):
        number = digest(text, "number") % (most + 1)
        if attempt > number:
            return None
        return kinds[digest(text, attempt) % len(kinds)]

    return fault


class Proxy(http.server.ThreadingHTTPServer):
    """A server that counts.

    Attributes:
      seen: of each request its text, draw, and what was done: a fault or `"whole"`.
      keys: the keys that came.
    """

    daemon_threads, block_on_close = True, False
    request_queue_size = 256

    def __init__(self, model=hashed, fault=lambda text, attempt: None, wait="0"):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.fault, self.wait = model, fault, wait
        self.seen, self.keys, self.attempts = [], set(), collections.Counter()
        self.lock, self.over = threading.Lock(), threading.Event()
        self.busy = self.most_busy = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def count(self, kind):
        return sum(own == kind for _, _, own in self.seen)

    @property
    def injected(self):
        return sum(own != "whole" for _, _, own in self.seen)

    @property
    def whole(self):
        return [(text, draw) for text, draw, own in self.seen if own == "whole"]

    def handle_error(self, request, client_address):
        """A client that has gone is what is tested."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, *parts):
        pass

    def do_POST(self):
        own = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, draw = body["messages"][0]["content"], body.get("seed")
        with own.lock:
            own.busy += 1
            own.most_busy = max(own.busy, own.most_busy)
            own.keys.add(self.headers["Authorization"])
            own.attempts[text, draw] += 1
            kind = own.fault(text, own.attempts[text, draw])
            own.seen.append((text, draw, kind or "whole"))
        try:
            self._answer(kind, body)
        finally:
            with own.lock:
                own.busy -= 1

    def _answer(self, kind, body):
        own = self.server
        if kind == "429":
            return self._send(429, {"error": {"message": "slower"}}, own.wait)
        if kind == "500":
            return self._send(500, {"error": {"message": "oh"}})
        if kind == "silence":
            own.over.wait(30)
            self.close_connection = True
            return None
        if kind == "closed":
            self.close_connection = True
            return None
        if kind == "garbage":
            return self._send(200, b"<html>a page</html>")
        if isinstance(kind, tuple):
            return self._send(*kind)
        content = own.model(body)
        if kind == "no_log_probs":
            content["choices"][0]["logprobs"] = None
        return self._send(200, content, half=kind == "half")

    def _send(self, status, content, wait=None, half=False):
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if wait is not None:
            self.send_header("Retry-After", wait)
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2] if half else raw)
        self.close_connection = half


@contextlib.contextmanager
def serving(*arguments, **options):
    """A proxy that answers while the block runs."""
    proxy = Proxy(*arguments, **options)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()
