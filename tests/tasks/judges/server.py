"""An OpenAI-compatible chat server on loopback, with a log of what it did and a schedule of what goes wrong."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """`answer(body, number)` gives a completion's choice, or (status, headers, bytes), or "hang", "drop".

    `answered` holds, in order, the (prompt, sample) of every request that got a whole completion.
    """

    def __init__(self, answer):
        self.answer = answer
        self.answered = []
        self.requests = []
        self.attempts = Counter()
        self.hold_after = None  # so many answers, and then silence
        self.lock = threading.Lock()
        self.open = self.most_open = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_GET(self):
                self._send(200, {}, json.dumps({"object": "list", "data": []}).encode())

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.serve(self, body)

            def _send(self, status, headers, data):
                lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}"]
                headers = {"Content-Type": "application/json"} | headers
                lines += [f"{key}: {value}" for key, value in headers.items()]
                self.wfile.write("\r\n".join([*lines, "", ""]).encode() + data)  # one packet: no delayed ACK
                self.wfile.flush()

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def serve(self, handler, body):
        name = identify(body)
        with self.lock:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            number = self.attempts[name]
            self.attempts[name] += 1
            self.requests.append(body)
        try:
            result = self.answer(body, number)
            if result == "hang":
                time.sleep(30)
                return
            if result == "drop":
                handler.close_connection = True
                handler.connection.close()
                return
            if isinstance(result, tuple):
                handler._send(*result)
                return
            with self.lock:
                silent = self.hold_after is not None and len(self.answered) >= self.hold_after
                if not silent:
                    handler._send(200, {}, json.dumps(completion(result)).encode())
                    self.answered.append(name)
            if silent:
                time.sleep(30)
        finally:
            with self.lock:
                self.open -= 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def identify(body):
    """What a request asks: a hash of its chat, and its seed (another one, when it asks once more)."""
    text = json.dumps(body["messages"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest(), body["seed"]


def uniform(*parts):
    """In [0, 1), by the hash of `parts`."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6]) / 2**48


def completion(choice):
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "served", "choices": [choice],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}  # fmt: skip


def says(text, logprobs=None, finish="stop", **message):
    """A choice with a text and the first token's log-probabilities."""
    tops = [{"token": token, "bytes": None, "logprob": value} for token, value in (logprobs or {}).items()]
    first = {"token": text[:1], "bytes": None, "logprob": -0.1, "top_logprobs": tops}
    return {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, **message},
        "logprobs": {"content": [first]} if logprobs else None,
    }
