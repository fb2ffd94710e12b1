"""What a model that was made elsewhere is told: whoever follows the words to the letter is judged right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from benchmarks.task import load_task
from benchmarks.text_form import END_THINK, THINK, prompt_text, read_completion, told
from cot_distill.language_model import character_tokenizer, from_scratch, render_prompt

DATA = Path(os.environ.get("REASONING_KIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
CHAT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[a]{% endif %}"
GENERATED = {
    "arithmetic": {"operation": "addition", "digits": (2, 2)},
    "countdown": {"numbers": 3},
    "sudoku": {"size": 4},
    "maze": {"size": 8},
    "graph-coloring": {},
    "satisfiability": {},
    "job-shop": {},
}
PUBLISHED = {
    "gsm8k": ({}, "gsm8k/test.jsonl.gz"),
    "svamp": ({}, "svamp/SVAMP.json.gz"),
    "aqua": ({}, "aqua/test.jsonl.gz"),
    "cruxeval": ({"predict": "output"}, "cruxeval/cruxeval.jsonl.gz"),
}


@pytest.fixture(scope="module")
def base():
    """A byte-pair tokenizer as that of a base model."""
    core = Tokenizer(BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    texts = [load_task(family, **options).instructions for family, options in GENERATED.items()]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=600, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", pad_token="<end>")


def sample(family, options, file=None):
    task = load_task(family, **options)
    if file is None:
        return task, task.generate("test", 3, 0)
    if not (DATA / file).exists():
        pytest.skip(f"no {DATA / file}: REASONING_KIT_DATA names the folder of the published files")
    return task, task.read(DATA / file, 3)


CASES = [(family, options, None) for family, options in GENERATED.items()]
CASES += [(family, options, file) for family, (options, file) in PUBLISHED.items()]


@pytest.mark.parametrize(("family", "options", "file"), CASES, ids=[case[0] for case in CASES])
def test_a_completion_by_the_instructions_is_right(base, family, options, file):
    """Through real tokens: the prompt with its completion is read as what a model that follows it would write."""
    task, problems = sample(family, options, file)
    for problem in problems:
        for style, thought in (("cot", f" I look closely, and I see it.{END_THINK}"), ("answer_only", "")):
            prompt = render_prompt(base, task, problem, style)
            assert task.instructions in prompt
            assert task.question_text(problem).rstrip("\n") in prompt
            opening = THINK if style == "cot" else THINK + END_THINK
            assert prompt.endswith(f"\nSolution: {opening}")
            asked = base(prompt, add_special_tokens=False)["input_ids"]
            for space in ("", "\n"):
                answer = f"{thought}{space}{task.answer_text(problem)}{base.eos_token}"
                written = base(answer, add_special_tokens=False)["input_ids"]
                assert base.decode(asked) == prompt
                text = base.decode(written, skip_special_tokens=True)
                assert task.verify(problem, read_completion(task, problem, text, style)).correct, text


def test_what_goes_against_the_instructions_is_wrong(base):
    """Each clause of the form is there because the reader insists on it."""
    task = load_task("gsm8k")
    problem = task.parse_question("Tom has 2 apples and buys 3. How many has he? #### 5")
    words = told(task, "cot")
    for clause, text in {
        f"end the thought with {END_THINK}": "2+3=5",
        "only the final answer": f"2+3=5{END_THINK}5\nSo Tom has 5 apples, the answer is 5.",
        "and stop": f"2+3=5{END_THINK}5\n\nQuestion: Ann has 4 apples.",
        "the thought": f"2+3=5{END_THINK}Wait.{END_THINK}5",
    }.items():
        assert clause in words
        assert not task.verify(problem, read_completion(task, problem, text, "cot")).correct, text
    assert task.verify(problem, read_completion(task, problem, f"2+3=5{END_THINK}5", "cot")).correct


def test_spaces_of_a_maze_survive(base):
    task, [problem, *_] = sample("maze", {"size": 8})
    assert f"Question: {task.question_text(problem)}\nSolution: " in render_prompt(base, task, problem, "cot")


def test_a_model_from_scratch_reads_the_bare_question_as_before(base):
    for family in ("sudoku", "countdown", "arithmetic"):
        task = load_task(family)
        [problem] = task.generate("test", 1, 0)
        own = character_tokenizer(task.alphabet)
        assert from_scratch(own)
        assert render_prompt(own, task, problem, "cot") == prompt_text(task, problem, "cot")
        assert prompt_text(task, problem, "cot") == task.question_text(problem) + THINK
    assert not from_scratch(base)


def test_a_chat_is_told_the_same(base):
    """The thought is opened once, behind the template."""
    task = load_task("countdown", numbers=3)
    [problem] = task.generate("test", 1, 0)
    base.chat_template = CHAT
    try:
        for style, opening in (("cot", THINK), ("answer_only", THINK + END_THINK)):
            prompt = render_prompt(base, task, problem, style)
            assert prompt == f"[user]{told(task, style)}\n\n{task.question_text(problem)}[a]{opening}"
            assert prompt.count(THINK) == 1
    finally:
        base.chat_template = None
