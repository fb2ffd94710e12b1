"""Saved models load by the Auto classes: beside this kit, and where its packages cannot be imported."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast

from trm.autoregressive import AutoregressiveTRMConfig, AutoregressiveTRMForCausalLM
from trm.configuration import TRMConfig
from trm.modeling import TRMForPuzzles
from trm.portable import write_sources

ROOT = Path(__file__).parents[2]
SYMBOLS = ["<pad>", "<eos>", *"0123456789+="]
PROMPT = [[3, 12, 4, 13], [0, 5, 12, 6]]
SMALL = {"vocabulary_size": 5, "positions": 6, "width": 16, "heads": 2, "inner_multiple": 8, "T": 2}

# A process in which none of our five packages exists.
ELSEWHERE = """
import json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("reasoning_kit", "grpo", "cot_distill", "trm", "benchmarks"):
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Blocked())
import torch
from transformers import AutoModel, AutoModelForCausalLM
torch.set_num_threads(1)
"""


def python(code, tmp_path, *flags, path=None):
    """The last line that a fresh process prints, as JSON."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    environment |= {"HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HOME": str(tmp_path / "hub")}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, *flags, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def language_model():
    torch.manual_seed(0)
    return AutoregressiveTRMForCausalLM(
        AutoregressiveTRMConfig(
            vocab_size=len(SYMBOLS),
            hidden_size=32,
            num_attention_heads=2,
            intermediate_size=64,
            T=1,
            n=1,
            supervision_steps=2,
            eos_token_id=1,
            pad_token_id=0,
            bos_token_id=None,
        )
    ).eval()


def puzzle_model(**settings):
    torch.manual_seed(0)
    return TRMForPuzzles(TRMConfig(**SMALL | settings)).eval()


def test_a_language_model_loads_where_the_kit_is_not(language_model, tmp_path):
    folder = tmp_path / "saved"
    language_model.save_pretrained(folder)
    expected = language_model.generate(torch.tensor(PROMPT), max_new_tokens=8, do_sample=False).tolist()
    code = f"""{ELSEWHERE}
model = AutoModelForCausalLM.from_pretrained({str(folder)!r}, trust_remote_code=True).eval()
model.save_pretrained({str(tmp_path / "again")!r})
again = AutoModelForCausalLM.from_pretrained({str(tmp_path / "again")!r}, trust_remote_code=True).eval()
written = [each.generate(torch.tensor({PROMPT}), max_new_tokens=8, do_sample=False).tolist() for each in (model, again)]
print(json.dumps(written))
"""
    assert python(code, tmp_path, "-I") == [expected, expected]


@pytest.mark.parametrize("settings", [{}, {"recursion": "multi_scale", "n": 2}, {"mixer": "attention", "prefix": 2}])
def test_a_puzzle_model_loads_where_the_kit_is_not(settings, tmp_path):
    model, folder = puzzle_model(**settings), tmp_path / "saved"
    model.save_pretrained(folder)
    ids = torch.tensor([[1, 2, 3, 4, 0, 1]])
    with torch.no_grad():
        expected = model(ids).logits.tolist()
    code = f"""{ELSEWHERE}
model = AutoModel.from_pretrained({str(folder)!r}, trust_remote_code=True).eval()
with torch.no_grad():
    print(json.dumps(model(torch.tensor({ids.tolist()})).logits.tolist()))
"""
    assert python(code, tmp_path, "-I") == expected


@pytest.mark.parametrize("recursion", ["trm", "direct", "single_z", "multi_scale", "fixed_point"])
def test_every_variant_loads_with_automodel_at_home(recursion, tmp_path):
    model = puzzle_model(recursion=recursion, n=3)
    model.save_pretrained(tmp_path)
    assert "auto_map" not in model.config.to_dict(), "it is a matter of what is saved, not of the model"
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is TRMForPuzzles
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in model.state_dict().items())


def test_copies_say_where_they_come_from_and_import_each_other_only(tmp_path):
    files = write_sources(["trm.autoregressive.modeling", "trm.modeling"], tmp_path)
    assert {"trm_layers.py", "trm_autoregressive_cache.py", "benchmarks_errors.py"} <= {file.name for file in files}
    for file in files:
        text = file.read_text()
        assert text.startswith("# Copied from ")
        assert "licence Apache-2.0" in text.splitlines()[0]
        assert "\nfrom trm" not in text
        assert "\nfrom benchmarks" not in text


def test_an_import_that_cannot_be_rewritten_is_refused(tmp_path, monkeypatch):
    for line, words in [
        ("import trm.layers", "'from a.b import c'"),
        ("from trm import pricing", "not the package trm"),
    ]:
        (tmp_path / "odd_module.py").write_text(f"{line}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ValueError, match=words):
            write_sources(["odd_module"], tmp_path)


@pytest.mark.parametrize("given", [False, True])
def test_a_trainers_checkpoint_holds_no_source(language_model, tmp_path, given):
    language_model.save_pretrained(tmp_path, state_dict=language_model.state_dict() if given else None)
    assert not list(tmp_path.glob("*.py"))
    assert "auto_map" not in json.loads((tmp_path / "config.json").read_text())


LAZY = """
import json, sys
from trm.register import register_lazily
if {first}:
    import transformers
    from transformers import AutoConfig
register_lazily(); register_lazily()
light = "torch" not in sys.modules and "transformers" not in sys.modules
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
kept = AutoConfig.for_model("gpt2").model_type
not_yet = "trm.modeling" not in sys.modules
model = AutoModelForCausalLM.from_pretrained({folder!r})
print(json.dumps([light, not_yet, type(model).__module__, kept]))
"""


@pytest.mark.parametrize("first", [False, True])
def test_registering_costs_nothing_until_a_model_is_asked_for(language_model, tmp_path, first):
    """Whether transformers is loaded before or after."""
    folder = tmp_path / "saved"
    language_model.save_pretrained(folder)
    found = python(LAZY.format(first=first, folder=str(folder)), tmp_path, path=ROOT)
    assert found == [not first, True, "trm.autoregressive.modeling", "gpt2"]
    assert AutoConfig.from_pretrained(folder).model_type == "autoregressive_trm"


TASK = """
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
target_delimiter: ""
metric_list: [{{metric: acc}}]
"""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="needs lm-evaluation-harness: pip install lm_eval"
)
def test_the_evaluation_harness_runs_it(language_model, tmp_path):
    core = Tokenizer(WordLevel({symbol: index for index, symbol in enumerate(SYMBOLS)}, unk_token="<pad>"))
    core.pre_tokenizer = Split("", "isolated")
    folder = tmp_path / "saved"
    PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>").save_pretrained(folder)
    language_model.save_pretrained(folder)
    rows = [{"question": f"{i}+{i}=", "choices": ["2", "4", "6", "8"], "answer": i - 1} for i in (1, 2, 3, 4)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sums.yaml").write_text(TASK.format(data=tmp_path / "sums.jsonl"))
    command = [
        sys.executable, "-m", "lm_eval", "--model", "hf", "--tasks", "sums", "--include_path", str(tmp_path),
        "--model_args", f"pretrained={folder},trust_remote_code=True", "--device", "cpu", "--batch_size", "2",
        "--output_path", str(tmp_path / "out.json"),
    ]  # fmt: skip
    own = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "HF_MODULES_CACHE": str(tmp_path / "modules")}
    elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own
    done = subprocess.run(command, cwd=tmp_path, env=elsewhere, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    [result] = tmp_path.glob("out*.json")
    accuracy = json.loads(result.read_text())["results"]["sums"]["acc,none"]

    # The same choice by hand: the likeliest of the four answers to each question.
    right = 0
    for row in rows:
        ids = torch.tensor([[SYMBOLS.index(symbol) for symbol in row["question"]]])
        with torch.no_grad():
            scores = language_model(ids).logits[0, -1]
        best = max(range(4), key=lambda i: scores[SYMBOLS.index(row["choices"][i])].item())
        right += best == row["answer"]
    assert accuracy == right / 4


def test_the_backbone_is_what_automodel_gives(language_model, tmp_path):
    language_model.save_pretrained(tmp_path)
    ids = torch.tensor(PROMPT[:1])
    with torch.no_grad():
        expected = language_model.model(ids).last_hidden_state
        assert torch.equal(AutoModel.from_pretrained(tmp_path).eval()(ids).last_hidden_state, expected)
    assert type(AutoModelForCausalLM.from_pretrained(tmp_path)) is AutoregressiveTRMForCausalLM
