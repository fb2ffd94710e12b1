"""vLLM as the generator of groups: what TRL is told, and what is refused before anything trains."""

from __future__ import annotations

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec

import pytest
import torch
from tiny_policy import MODEL, SMALL, TASK
from training_runs import train_policy as train
from trl import GRPOConfig, RLOOConfig

from benchmarks.errors import UserError
from benchmarks.training.budget import Budget
from cot_distill.train import common_arguments
from grpo.arguments import arguments_of
from grpo.generation import check_server, check_vllm_generation, vllm_arguments
from grpo.options import VLLM, GRPOOptions

on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")


class Healthy(BaseHTTPRequestHandler):
    """Answers as a vLLM server that is up."""

    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    running = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running.server_port
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.mark.parametrize("config", [GRPOConfig, RLOOConfig])
@pytest.mark.parametrize(
    ("vllm", "used", "mode"), [("none", False, "colocate"), ("colocate", True, "colocate"), ("server", True, "server")]
)
def test_trl_is_told(config, vllm, used, mode, tmp_path):
    options = replace(SMALL, vllm=vllm, trainer={"vllm_gpu_memory_utilization": 0.4})
    arguments = config(
        **common_arguments(options, tmp_path, 0), num_generations=4, **vllm_arguments(options), **options.trainer
    )
    assert (arguments.use_vllm, arguments.vllm_mode, arguments.vllm_gpu_memory_utilization) == (used, mode, 0.4)


def test_every_mode_is_one_of_trls(tmp_path):
    """TRL would tell of a wrong one only when the trainer is built."""
    assert "trl vllm-serve" in (GRPOOptions.__doc__ or "")
    assert "`'server'` or `'colocate'`" in GRPOConfig.__dataclass_fields__["vllm_mode"].metadata["help"]
    assert set(VLLM) == {"none", "server", "colocate"}
    with pytest.raises(UserError, match="vllm must be one of 'none', 'colocate', 'server', not 'collocate'") as caught:
        GRPOOptions(vllm="collocate")
    assert "Did you mean 'colocate'?" in str(caught.value)


@pytest.mark.parametrize("key", ["use_vllm", "vllm_mode"])
def test_trls_own_names_lead_to_the_option(key):
    with pytest.raises(UserError, match=r"Set method\.grpo\.vllm"):
        GRPOOptions(trainer={key: "server"})


@on_a_cpu
@pytest.mark.parametrize("vllm", ["colocate", "server"])
def test_a_cpu_is_told_before_anything_trains(vllm, problems, tmp_path):
    options = replace(SMALL, vllm=vllm)
    with pytest.raises(UserError, match="on a CPU vLLM cannot write for a trainer") as caught:
        train(TASK, problems, options, MODEL, Budget("steps", 2), 0, tmp_path)
    assert caught.value.where == f"method.grpo.vllm={vllm}"
    assert not any(tmp_path.iterdir())
    assert not arguments_of(SMALL, tmp_path, 0, 8, 1e-4).use_vllm


def test_without_the_extra_its_name_is_told():
    with pytest.raises(UserError, match=r"reasoning_kit\[vllm\].*constraints-vllm"):
        check_vllm_generation("colocate", on_cpu=False, installed=False)
    check_vllm_generation("colocate", on_cpu=False, installed=True)
    check_vllm_generation("none", on_cpu=True, installed=find_spec("vllm") is not None)


def arguments_for(url, tmp_path):
    return GRPOConfig(**common_arguments(SMALL, tmp_path, 0), num_generations=4, vllm_server_base_url=url)


def test_a_server_that_is_up_is_taken_and_one_that_is_not_is_named(server, tmp_path):
    check_server(arguments_for(f"http://127.0.0.1:{server}/", tmp_path))
    by_port = GRPOConfig(
        **common_arguments(SMALL, tmp_path, 0), num_generations=4, vllm_server_host="127.0.0.1", vllm_server_port=server
    )
    check_server(by_port)
    for url in (f"http://127.0.0.1:{server}/v1", "http://127.0.0.1:9", "nonsense"):
        with pytest.raises(UserError, match="no vLLM server answers at") as caught:
            check_server(arguments_for(url, tmp_path))
        assert "trl vllm-serve --model" in str(caught.value)
        assert url.rstrip("/") in str(caught.value)
