"""A real OpenAI-compatible server (``transformers serve``) with a small model, and a proxy that breaks things.

The model adds two digits. It is trained for seconds, so that it is right now and then, and lies in a hub cache of its
own under a hub name: the server lists it, and nothing is fetched.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from benchmarks.problem import Problem
from benchmarks.task import load_task
from cot_distill.language_model import character_tokenizer
from cot_distill.traces import write_trace

TASK = load_task("arithmetic", operation="addition", digits=(1, 1))
MODEL = "tests/sums"
# The question stands in the second paragraph of a prompt; a solved example is left as it is.
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'].split('\\n\\n')[1] }}"
    "{% else %}{{ '\\n' + m['content'] + '\\n' }}{% endif %}{% endfor %}{{ '\\n' }}"
)


def train_adder(folder: Path, most: int = 400) -> None:
    """Save a model that writes ``7+8+0=15``, a line, ``<answer>15</answer>``; about half of its samples are right.

    Processors round otherwise, and one number of steps makes a model that knows nothing on one of them and all on
    another. So it is trained until it gives most of the training problems' answers, for at most so many steps.
    """
    torch.set_num_threads(1)
    set_seed(0)
    tokenizer = character_tokenizer(TASK.alphabet + "\n/<>answer")
    tokenizer.chat_template = TEMPLATE
    config = AutoConfig.for_model(
        "llama",
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model = AutoModelForCausalLM.from_config(config)
    ids, labels = _rows(tokenizer, TASK.generate("train", 60, 0))
    unseen = _rows(tokenizer, TASK.generate("test", 12, 0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(most):
        if step % 10 == 0 and _share_right(model, *unseen) > 0.15:
            break
        chosen = torch.randint(0, len(ids), (32,))
        model(input_ids=ids[chosen], labels=labels[chosen]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.generation_config.do_sample = True  # without it, this server takes no notice of the temperature
    model.generation_config.top_k = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _rows(tokenizer: Any, problems: Sequence[Problem]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and labels of solved problems, all of one length."""
    rows = []
    for problem in problems:
        text = f"{write_trace(TASK, problem)}\n<answer>{problem.answer}</answer>{tokenizer.eos_token}"
        rows.append((tokenizer(f"{problem.question}=\n")["input_ids"], tokenizer(text)["input_ids"]))
    assert len({(len(question), len(text)) for question, text in rows}) == 1
    ids = torch.tensor([question + text for question, text in rows])
    return ids, torch.tensor([[-100] * len(question) + text for question, text in rows])


@torch.no_grad()
def _share_right(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> float:
    """Of the rows, how many the model would write greedily to the last token."""
    said = model(input_ids=ids).logits[:, :-1].argmax(-1)
    wanted = labels[:, 1:]
    return float(((said == wanted) | (wanted == -100)).all(-1).float().mean())


def cached_model(cache: Path) -> Path:
    """Train the model into a hub cache; the folder that it lies in."""
    repository = cache / f"models--{MODEL.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    train_adder(snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    return snapshot


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """``transformers serve``, which can be killed and started again at the same address."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.port = cache, free_port()
        self.log = cache / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        environment = os.environ | {"HF_HUB_CACHE": str(self.cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        program = Path(sys.executable).with_name("transformers")
        words = [program, "serve", MODEL, "--host", "127.0.0.1", "--port", str(self.port), "--device", "cpu"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        patience = time.monotonic() + 120
        while time.monotonic() < patience:
            assert self.process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


@dataclass
class Asked:
    """One request for a completion that went through the proxy."""

    body: dict[str, Any]
    key: str
    fault: str = ""
    answered: bool = False

    @property
    def sample(self) -> tuple[str, Any]:
        """What tells requests apart."""
        return json.dumps(self.body["messages"]), self.body.get("seed")


# A fault is an error status, or one with its words, "hang", "cut", "half", or the body of a reply; "" is none.
Fault = Callable[[int, Asked], "int | tuple[int, str] | str | dict[str, Any]"]


@dataclass
class Proxy:
    """Forwards to a server, and does what ``fault`` says for the n-th request for a completion (from 0).

    Attributes:
        asked: every request for a completion.
        extra: headers of a reply with an error status.
        models: what it says that the server has, instead of the server's own list.
        key: that is wanted, if any.
    """

    target: Server
    fault: Fault = lambda number, asked: ""
    asked: list[Asked] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)
    key: str = ""

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                self._send(*proxy.forward("GET", self.path, b""))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                asked = Asked(json.loads(body), self.headers.get("authorization", "").removeprefix("Bearer "))
                with proxy.lock:
                    number = len(proxy.asked)
                    proxy.asked.append(asked)
                if proxy.key and asked.key != proxy.key:
                    return self._send(401, json.dumps({"error": {"message": "no such key"}}).encode())
                fault = proxy.fault(number, asked)
                asked.fault = str(fault)
                if isinstance(fault, dict):
                    return self._send(200, json.dumps(fault).encode())
                if isinstance(fault, int):
                    fault = (fault, f"fault {fault}")
                if isinstance(fault, tuple):
                    said = json.dumps({"error": {"message": fault[1]}})
                    return self._send(fault[0], said.encode(), proxy.extra)
                if fault == "hang":
                    time.sleep(1.5)
                    return self._break()
                if fault == "cut":
                    return self._break()
                status, reply = proxy.forward("POST", self.path, body)
                if fault == "half":
                    return self._send(status, reply[: len(reply) // 2])
                if fault:
                    return self._send(200, fault.encode())
                asked.answered = status == 200
                return self._send(status, reply)

            def _break(self) -> None:
                self.close_connection = True
                self.connection.close()

            def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in {"content-type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...  # the client went away, as it should

        self.server = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def forward(self, verb: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=60)
        try:
            connection.request(verb, path, body, {"content-type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        except OSError:
            return 502, b'{"error": {"message": "the server behind is gone"}}'
        finally:
            connection.close()

    def answered(self) -> list[tuple[str, Any]]:
        return [asked.sample for asked in self.asked if asked.answered]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
