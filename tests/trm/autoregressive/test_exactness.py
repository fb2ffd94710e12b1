"""Decoding computes what whole sequences compute: each cache policy equals its definition, to 1e-5."""

from __future__ import annotations

import pytest
import torch

from benchmarks.errors import UserError
from trm.autoregressive import AutoregressiveTRMConfig, AutoregressiveTRMForCausalLM
from trm.autoregressive.attention import At
from trm.autoregressive.cache import SlotCache
from trm.autoregressive.engine import Decoding, Engine
from trm.autoregressive.lockstep import adaptive, fixed, oracle, walk
from trm.autoregressive.recursion import positions_of, role
from trm.autoregressive.sequence import jacobi, sequential
from trm.layers import rms_norm

CLOSE = {"rtol": 0, "atol": 1e-5}
POLICIES = ("committed", "per_depth", "first_depth", "last_of_role")
SINGLE = {"streams": "single", "supervision_steps": 1, "halting": "none"}
SHAPES = {
    "trm": {},
    "one round": {"T": 1, "n": 1, "supervision_steps": 3},
    "gpt": {**SINGLE, "tied": False, "T": 4, "num_hidden_layers": 1, "norm": "pre"},
    "tied, step embedding": {**SINGLE, "T": 3, "step_embedding": True},
    "tied, supervision steps": {**SINGLE, "T": 2, "supervision_steps": 3, "halting": "correct", "norm": "pre"},
    "act": {**SINGLE, "T": 5, "halting": "act", "norm": "pre", "step_embedding": True},
    "pre-norm": {"norm": "pre"},
}
SIZES = {"vocab_size": 13, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def build(seed=0, **settings):
    torch.manual_seed(seed)
    config = AutoregressiveTRMConfig(**{**SIZES, "T": 2, "n": 2, "supervision_steps": 3, **settings})
    model = AutoregressiveTRMForCausalLM(config).eval()
    with torch.no_grad():
        for head in (model.model.halting_head, model.model.recursion.act_head):
            if head is not None:  # guesses that differ between tokens and steps
                head.weight.normal_(0, 1)
                head.bias.zero_()
        if model.model.halting_head is not None:
            answers = model.model(tokens(8, 8, seed=7)).answers
            halting_logits = torch.stack([model.model.halting_logits(answer) for answer in answers])
            model.model.halting_head.bias.fill_(-float(halting_logits.quantile(0.7)))
    return model


def tokens(rows=3, length=9, seed=1):
    return torch.randint(0, 13, (rows, length), generator=torch.Generator().manual_seed(seed))


def decoded(model, ids, policy, halts=None, mask=None):
    """Logits of given tokens, decoded one column after the other, and their steps."""
    mask = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
    cache = SlotCache(model.config, policy, model.lm_head.weight, len(ids), ids.shape[1])
    with torch.no_grad():
        answers, steps = walk(model.model, cache, ids, mask, 0, halts or fixed())
        return model.lm_head(answers), steps


@pytest.mark.parametrize("shape", SHAPES)
def test_per_depth_decoding_is_the_parallel_forward(shape):
    model, ids = build(**SHAPES[shape]), tokens()
    with torch.no_grad():
        whole = model(ids).logits
    torch.testing.assert_close(decoded(model, ids, "per_depth")[0], whole, **CLOSE)


class Recomputed:
    """The definition of a policy without any cache: for a token, everything before it is computed again.

    Written for one row, token by token, with plain loops; the model's weights are all that is shared.
    """

    def __init__(self, model, policy, steps=None):
        self.model, self.config, self.policy, self.steps = model, model.config, policy, steps

    def slot(self, step, index):
        if self.policy == "per_depth":
            return (step, index)
        return role(self.config, index) if self.policy == "last_of_role" else 0

    def writes(self, step, index):
        if self.policy == "first_depth":
            return step == index == 0
        return self.policy != "committed" or index == self.config.passes - 1

    def token(self, ids, position):
        """The answer at ``position`` and what this token leaves: slot -> layer -> (key, value)."""
        prefix = [self.token(ids, earlier)[1] for earlier in range(position)]
        left = {}
        backbone = self.model.model

        def attend(at: At, q, k, v):
            slot = self.slot(step, at.index)
            entries = [(kept.get(slot) or kept[max(s for s in kept if s[1] == at.index)])[at.layer] for kept in prefix]
            keys = torch.stack([key for key, _ in entries] + [k[0, 0]])  # [m, h, e]
            values = torch.stack([value for _, value in entries] + [v[0, 0]])
            scores = torch.einsum("he,mhe->hm", q[0, 0], keys) / q.shape[-1] ** 0.5
            if self.writes(step, at.index):
                left.setdefault(slot, {})[at.layer] = (k[0, 0], v[0, 0])
            return torch.einsum("hm,mhe->he", scores.softmax(-1), values)[None, None]

        x = backbone.embed(ids[None, position : position + 1])
        angles = backbone.angles(torch.tensor([[position]]))
        state = backbone.recursion.start(x)
        for step in range(self.config.supervision_steps if self.steps is None else self.steps[position]):
            state, _ = backbone.recursion(x, state, angles, attend, step)
        return state[0], left

    def logits(self, ids):
        with torch.no_grad():
            answers = [self.model.model.read_out(self.token(ids, t)[0])[0, 0] for t in range(len(ids))]
            return self.model.lm_head(torch.stack(answers))


@pytest.mark.parametrize("policy", POLICIES)
def test_decoding_is_recomputation_without_a_cache(policy):
    model, ids = build(), tokens(rows=2, length=5)
    expected = torch.stack([Recomputed(model, policy).logits(row) for row in ids])
    torch.testing.assert_close(decoded(model, ids, policy)[0], expected, **CLOSE)


@pytest.mark.parametrize("policy", POLICIES)
def test_with_halting_too(policy):
    model, ids = build(), tokens(rows=3, length=5)
    got, steps = decoded(model, ids, policy, adaptive(model.model))
    assert len(set(steps.flatten().tolist())) > 1, "tokens must differ in depth for this to mean anything"
    expected = torch.stack(
        [Recomputed(model, policy, s.tolist()).logits(row) for row, s in zip(ids, steps, strict=True)]
    )
    torch.testing.assert_close(got, expected, **CLOSE)


def test_policies_differ():
    model, ids = build(), tokens()
    found = [decoded(model, ids, policy)[0] for policy in POLICIES]
    for i, one in enumerate(found):
        for other in found[:i]:
            assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("shape", ["trm", "one round", "pre-norm"])
def test_the_sequential_mode_is_committed_decoding_and_enough_sweeps_reach_it(shape):
    model, ids = build(**SHAPES[shape]), tokens(length=7)
    mask = torch.ones_like(ids, dtype=torch.bool)
    backbone = model.model
    x, angles = backbone.embed(ids), backbone.angles(positions_of(mask))
    with torch.no_grad():
        exact = sequential(backbone.recursion, x, angles, mask, True, 3).answers
        swept = {k: jacobi(backbone.recursion, x, angles, mask, k, True, 3).answers for k in (1, 2, 3, 7)}
    got = decoded(model, ids, "committed")[0]
    torch.testing.assert_close(model.lm_head(backbone.read_out(exact[-1])), got, **CLOSE)
    for one, other in zip(swept[7], exact, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
    for k in (1, 2, 3):  # positions before k are exact already, later ones are not
        torch.testing.assert_close(swept[k][-1][:, :k], exact[-1][:, :k], **CLOSE)
        assert (swept[k][-1][:, k:] - exact[-1][:, k:]).abs().max() > 1e-3


@pytest.mark.parametrize("shape", ["trm", "one round", "pre-norm"])
def test_the_first_depth_mode_is_first_depth_decoding(shape):
    model, ids = build(**SHAPES[shape], training_mode="first_depth"), tokens()
    with torch.no_grad():
        whole = model(ids).logits
    torch.testing.assert_close(decoded(model, ids, "first_depth")[0], whole, **CLOSE)


@pytest.mark.parametrize("mode", ["parallel", "first_depth", "jacobi", "sequential"])
def test_fewer_steps_in_a_batch_are_a_shallower_model(mode):
    deep, ids = build(training_mode=mode), tokens()
    shallow = build(training_mode=mode, supervision_steps=2)
    shallow.load_state_dict(deep.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(deep(ids, supervision_steps=2).logits, shallow(ids).logits, **CLOSE)


@pytest.mark.parametrize("mode", ["parallel", "first_depth", "jacobi", "sequential"])
def test_padding_on_either_side_changes_nothing(mode):
    model, ids = build(training_mode=mode, sweeps=2), tokens(rows=1, length=6)
    padding = torch.full((1, 3), 12)
    real, none = torch.ones_like(ids), torch.zeros_like(padding)
    with torch.no_grad():
        alone = model(ids).logits
        left = model(torch.cat((padding, ids), 1), torch.cat((none, real), 1)).logits[:, 3:]
        right = model(torch.cat((ids, padding), 1), torch.cat((real, none), 1)).logits[:, :6]
    torch.testing.assert_close(left, alone, **CLOSE)
    torch.testing.assert_close(right, alone, **CLOSE)


PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9], [2, 2], [3, 1, 4, 1, 5, 9], [7, 7, 7], [11]]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_batches_and_waiting_do_not_change_a_token(policy, temperature):
    model = build(depth="adaptive")

    def run(**options):
        engine = Engine(model, Decoding(12, policy, temperature=temperature, **options))
        return engine, engine.decode(PROMPTS, {0})

    _, alone = run(batch_size=1)
    deep, together = run(batch_size=4)
    lock, waiting = run(batch_size=4, lock_step=True)
    assert alone == together == waiting
    assert len({step for result in alone for step in result.steps}) > 1
    assert deep.used == lock.used, "the same work"
    assert deep.ticks <= lock.ticks
    if temperature:  # greedy, a model of random weights soon repeats itself, every row alike
        assert deep.ticks < lock.ticks, "in less time"


def test_a_narrow_nucleus_is_greedy():
    model = build()
    greedy = Engine(model, Decoding(8)).decode(PROMPTS)
    assert Engine(model, Decoding(8, temperature=1.0, top_p=1e-6)).decode(PROMPTS) == greedy
    assert Engine(model, Decoding(8, temperature=1.0)).decode(PROMPTS) != greedy


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("depth", ["fixed", "adaptive"])
def test_generate_is_the_engine(policy, depth):
    model = build(depth=depth, cache_policy=policy)
    expected = Engine(model, Decoding(10)).decode(PROMPTS)
    longest = max(map(len, PROMPTS))
    ids = torch.tensor([[12] * (longest - len(p)) + p for p in PROMPTS])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in PROMPTS])
    written = model.generate(ids, attention_mask=mask, max_new_tokens=10, do_sample=False, pad_token_id=12)
    assert written[:, longest:].tolist() == [result.ids for result in expected]


def test_a_mode_of_training_is_decoded_by_its_partner(tmp_path):
    for mode, sweeps, policy in [
        ("parallel", 2, "per_depth"), ("first_depth", 2, "first_depth"), ("sequential", 2, "committed"),
        ("jacobi", 2, "committed"), ("jacobi", 1, "per_depth"),
    ]:  # fmt: skip
        model = build(training_mode=mode, sweeps=sweeps)
        assert (model.config.policy, Engine(model, Decoding(1)).policy) == (policy, policy)
    build(training_mode="sequential", cache_policy="per_depth").config.save_pretrained(tmp_path)
    assert AutoregressiveTRMConfig.from_pretrained(tmp_path).policy == "per_depth", "what is given stays"


def test_the_context_ends_each_prompt_for_itself():
    model, prompts = build(max_position_embeddings=12), [[3, 4], [5] * 9, [6] * 12, [7] * 20]
    result = Engine(model, Decoding(40)).decode(prompts)
    assert [len(each.ids) for each in result] == [10, 3, 1, 1]
    assert result[0].ids == Engine(model, Decoding(10)).decode(prompts[:1])[0].ids
    assert Engine(model, Decoding(40)).decode([]) == []


def test_impossible_decoding_is_refused():
    model = build()
    for options, words in [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"), ({"batch_size": 0}, "batch_size is 0"),
        ({"policy": "perdepth"}, "unknown policy"), ({"depth": "adaptiv"}, "unknown depth"),
    ]:  # fmt: skip
        with pytest.raises(UserError, match=words):
            Decoding(**{"max_new_tokens": 3, **options})
    with pytest.raises(UserError, match="holds no token"):
        Engine(model, Decoding(3)).decode([[], [1]])
    with pytest.raises(UserError, match="when to halt"):
        Engine(build(halting="none"), Decoding(3, depth="adaptive"))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_call_with_a_cache_gives_every_position_or_the_last_one(policy):
    """A prompt and then several tokens at once, with padding on the left; what is not asked for is not needed."""
    model, ids = build(cache_policy=policy), tokens(rows=2, length=9)
    mask = torch.ones_like(ids)
    mask[0, :2] = 0
    expected, _ = decoded(model, ids, policy, mask=mask.bool())
    real = mask[:, :6].bool()
    with torch.no_grad():
        whole = model(ids[:, :6], attention_mask=mask[:, :6], use_cache=True)
        more = model(ids[:, 6:], attention_mask=mask, past_key_values=whole.past_key_values)
        last = model(ids[:, :6], attention_mask=mask[:, :6], use_cache=True, logits_to_keep=1)
        after = model(ids[:, 6:], attention_mask=mask, past_key_values=last.past_key_values, logits_to_keep=1)
    torch.testing.assert_close(whole.logits[real], expected[:, :6][real], **CLOSE)
    torch.testing.assert_close(more.logits, expected[:, 6:], **CLOSE)
    torch.testing.assert_close(last.logits, expected[:, 5:6], **CLOSE)
    torch.testing.assert_close(after.logits, expected[:, 8:], **CLOSE)


def test_generate_equals_repeated_forwards():
    model, ids = build(), tokens(rows=2, length=4)
    written = model.generate(ids, max_new_tokens=6, do_sample=False, pad_token_id=12)
    for _ in range(6):
        with torch.no_grad():
            ids = torch.cat((ids, model(ids).logits[:, -1:].argmax(-1)), 1)
    assert written.tolist() == ids.tolist()


def test_a_halted_token_never_changes():
    model, ids = build(), tokens(rows=4, length=3)
    cache = SlotCache(model.config, "committed", model.lm_head.weight, 4, 8)
    with torch.no_grad():
        walk(model.model, cache, ids, torch.ones_like(ids, dtype=torch.bool), 0, fixed())
        before = cache.keys[:, :, :, :3].clone()
        more = tokens(rows=4, length=2, seed=5)
        walk(model.model, cache, more, torch.ones(4, 5, dtype=torch.bool), 3, adaptive(model.model))
    assert torch.equal(cache.keys[:, :, :, :3], before)


def test_the_oracle_takes_the_fewest_steps_that_are_right():
    model, ids = build(), tokens(rows=4, length=8)
    with torch.no_grad():
        steps = model(ids).step_logits
    targets = steps[1].argmax(-1)  # right after the second step, some after the first already
    first_right = torch.stack([step.argmax(-1) == targets for step in steps]).int().argmax(0) + 1
    got, taken = decoded(model, ids[:, :1], "per_depth", oracle(model, targets))
    assert taken[:, 0].tolist() == first_right[:, 0].tolist()
    assert got[:, 0].argmax(-1).tolist() == targets[:, 0].tolist()


def test_the_norm_in_front_ends_with_one():
    model, ids = build(norm="pre"), tokens()
    with torch.no_grad():
        hidden = model.model(ids).last_hidden_state
    torch.testing.assert_close(hidden, rms_norm(hidden), rtol=0, atol=1e-4)
