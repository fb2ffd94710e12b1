"""Tokenizers and models: round trips, saving and loading, chat templates, LoRA; all without a network."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from training_runs import distill as train
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions, OwnModel
from benchmarks.task import load_task
from benchmarks.text_form import prompt_text
from benchmarks.training.budget import Budget
from cot_distill.language_model import (
    EOS,
    PAD,
    character_tokenizer,
    load_language_model,
    load_pretrained,
    load_tokenizer,
    model_config,
    render_prompt,
)
from cot_distill.options import SFTOptions
from cot_distill.solver import CausalLMSolver

TASK = load_task("arithmetic", operation="addition", digits=(1, 1))
SHAPE = {"width": 16, "layers": 1, "heads": 2, "key_value_heads": 1, "inner": 32}
TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("family", ["arithmetic", "maze", "sudoku"])
def test_character_tokenizer_round_trip(family):
    task = load_task(family)
    tokenizer = character_tokenizer(task.alphabet)
    problem = task.generate("train", 1, 0)[0]
    text = f"{task.question_text(problem)}<think>{task.alphabet}</think>{task.answer_text(problem)}<eos>"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, skip_special_tokens=True) == text.removesuffix("<eos>")  # the think marks stay
    marks = len("<think></think><eos>") - 3
    assert len(ids) == len(text) - marks  # one token per character, one per mark
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.convert_ids_to_tokens(0) == PAD == tokenizer.pad_token
    assert len(tokenizer) == 5 + len(set(task.alphabet))


def test_characters_outside_the_alphabet_are_unknown_one_by_one():
    tokenizer = character_tokenizer("01")
    ids = tokenizer("0x\n\n<thin1", add_special_tokens=False)["input_ids"]
    assert len(ids) == len("0x\n\n<thin1")
    assert ids.count(tokenizer.unk_token_id) == 8


def test_padding_is_on_the_left_and_masked():
    batch = character_tokenizer("01")(["0", "011"], padding=True, return_tensors="pt")
    assert batch["attention_mask"].tolist() == [[0, 0, 1], [1, 1, 1]]
    assert batch["input_ids"][0, :2].tolist() == [0, 0]


@pytest.mark.parametrize("architecture", ["qwen3", "qwen2", "llama"])
def test_a_saved_model_gives_the_same_answers(architecture, tmp_path):
    model, tokenizer = load_language_model(ModelOptions(architecture=architecture, **SHAPE), TASK, seed=3)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again, tokenizer_again = load_pretrained(str(tmp_path))
    text = "7+8=<think>7+8+0=15</think>15<eos>"
    assert tokenizer_again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert (tokenizer_again.padding_side, tokenizer_again.pad_token, tokenizer_again.eos_token) == ("left", PAD, EOS)
    problems = TASK.generate("test", 6, 0)
    solutions, solutions_again = (
        [s.text for s in CausalLMSolver(m, t, TASK, "cot", 12).solve(problems)]
        for m, t in ((model, tokenizer), (again, tokenizer_again))
    )
    assert solutions == solutions_again
    assert len(set(solutions)) > 1  # not one empty text
    assert load_tokenizer(ModelOptions(path=str(tmp_path)), TASK)(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_the_seed_decides_the_weights():
    def weights(seed):
        model, _ = load_language_model(ModelOptions(**SHAPE), TASK, seed)
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_a_bad_path_is_a_user_error_with_a_cure(tmp_path):
    for path, kind in ((str(tmp_path / "nothing"), "folder"), (str(tmp_path), "folder"), ("./none", "folder")):
        with pytest.raises(UserError, match=f"Check the {kind}") as caught:
            load_language_model(ModelOptions(path=path), TASK, 0)
        assert caught.value.where == f"model.path={path}"
        with pytest.raises(UserError):
            load_tokenizer(ModelOptions(path=path), TASK)


@pytest.mark.parametrize("options", [{"width": 0}, {"width": 10, "heads": 4}, {"heads": 4, "key_value_heads": 3}])
def test_impossible_shapes_are_user_errors(options):
    with pytest.raises(UserError):
        ModelOptions(**options)


def bytes_tokenizer(template=None):
    """Like a pretrained model's: byte level, a start token that it adds by itself, no padding token."""
    vocabulary = {token: i for i, token in enumerate(["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    core = Tokenizer(BPE(vocabulary, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("opened", ["", "<think>", "<think>\n"])
def test_a_chat_template_goes_around_the_question(opened):
    """Also where the template itself opens the thought, as those of reasoning models do."""
    tokenizer = bytes_tokenizer(TEMPLATE.replace("[assistant]", "[assistant]" + opened))
    problem = TASK.problem(7, 8)
    prompt = render_prompt(tokenizer, TASK, problem, "cot")
    assert prompt.startswith("[user]")
    assert "7+8=" in prompt
    assert prompt.endswith("[assistant]<think>")
    assert prompt.count("<think>") == 1
    assert render_prompt(tokenizer, TASK, problem, "answer_only").endswith("[assistant]<think></think>")


def test_without_a_template_the_prompt_is_the_bare_question():
    problem = TASK.problem(7, 8)
    tokenizer = character_tokenizer(TASK.alphabet)
    assert render_prompt(tokenizer, TASK, problem, "cot") == prompt_text(TASK, problem, "cot") == "7+8=<think>"
    assert render_prompt(tokenizer, TASK, problem, "answer_only") == "7+8=<think></think>"


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder with a small Llama and a byte-level tokenizer that has a chat template and no padding token."""
    folder = tmp_path_factory.mktemp("pretrained")
    tokenizer = bytes_tokenizer(TEMPLATE)
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, intermediate_size=32, eos_token_id=1)  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_missing_padding_token_is_the_end_token(pretrained):
    assert AutoTokenizer.from_pretrained(pretrained).pad_token is None
    _, tokenizer = load_pretrained(str(pretrained))
    assert tokenizer.pad_token == tokenizer.eos_token == "</s>"
    assert load_tokenizer(ModelOptions(path=str(pretrained)), TASK).pad_token == "</s>"


def test_lora_changes_the_base_weights_only_through_the_merge(pretrained, tmp_path):
    rank = 2
    trained = train(
        TASK,
        TASK.generate("train", 30, 0),
        SFTOptions(batch_size=4, warmup_steps=1, learning_rate=1e-2),
        ModelOptions(path=str(pretrained), lora_rank=rank),
        "cot",
        Budget("steps", 5),
        0,
        tmp_path,
    )
    before = load_pretrained(str(pretrained))[0].state_dict()
    after = trained.model.state_dict()
    assert after.keys() == before.keys()  # merged: a plain model again
    assert not hasattr(trained.model, "peft_config") or not any("lora" in name for name in after)
    linear = [name for name in before if "_proj" in name]
    assert len(linear) == 7
    for name, weight in before.items():
        difference = after[name] - weight
        if name in linear:
            assert difference.abs().max() > 0, name
            assert torch.linalg.matrix_rank(difference, rtol=1e-3) <= rank, name
        else:
            assert torch.equal(after[name], weight), name  # embeddings, norms and head are frozen
    solutions = trained.solver(TASK, "cot").solve(TASK.generate("test", 3, 0))
    assert all(s.tokens > 0 for s in solutions)


def test_settings_of_a_refining_model_are_checked_and_win_over_its_rung():
    import trm.autoregressive.modeling  # noqa: F401  # registers it

    def built(**settings):
        return model_config(ModelOptions(architecture="autoregressive_trm", settings=settings), 30)

    assert built(rung="gpt").num_hidden_layers == 1
    assert built(rung="recursive_deep", T=2, supervision_steps=2).supervision_steps == 2
    with pytest.raises(UserError, match="Did you mean 'training_mode'"):
        built(rung="gpt", trainng_mode="jacobi")
    with pytest.raises(UserError, match="some-model has settings of its own"):
        ModelOptions(path="some-model", settings={"cache_policy": "committed"})
    shape = ModelOptions(architecture="autoregressive_trm", settings={"rung": "gpt"})
    assert OwnModel(path="some-model").over(shape, "method.cot.model").settings == {}
