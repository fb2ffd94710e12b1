"""To and from the published names; what cannot be converted is refused."""

from __future__ import annotations

import pytest
import torch
from published_reference import random_weights, settings

from benchmarks.errors import UserError
from trm import convert_published, to_published
from trm.configuration import TRMConfig
from trm.modeling import TRMForPuzzles

SIZES = {"vocabulary_size": 6, "positions": 5, "width": 16, "heads": 2, "T": 2, "n": 2, "supervision_steps": 2}


@pytest.fixture(params=[False, True], ids=["mlp", "attention"])
def published(request):
    """Weights (random, halting and puzzles' too) and their configuration."""
    config = settings(request.param, prefix=2, layers=2, n=2, T=2)
    weights = random_weights(config, torch.Generator().manual_seed(0))
    return {f"inner.{name}": p.detach() for name, p in weights.items()}, config


def same(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_there_and_back(published):
    weights, config = published
    model = convert_published(weights, config)
    again, settings_again = to_published(model)
    same(again, weights)
    assert {key: settings_again[key] for key in config} == config
    same(convert_published(again, settings_again).state_dict(), model.state_dict())
    assert not model.training


@pytest.mark.parametrize("mixer", ["mlp", "attention"])
@pytest.mark.parametrize(
    "more", [{}, {"prefix": 3, "puzzles": 4, "puzzle_width": 40}, {"act": "halt_continue"}], ids=str
)
def test_our_models_compute_the_same_after_the_journey(mixer, more):
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**SIZES, mixer=mixer, **more)).eval()
    for tensor in model.state_dict().values():
        tensor += 0.1 * torch.randn_like(tensor)
    back = convert_published(*to_published(model))
    ids = torch.randint(6, (3, 5))
    puzzles = torch.arange(3) % model.config.puzzles
    first, second = (m(ids, None, puzzles) for m in (model, back))
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.halting_logit, second.halting_logit)
    assert (first.continue_logit is None) == (second.continue_logit is None)
    assert back.config.act == model.config.act


def test_wrappers_before_the_names_are_dropped(published):
    weights, config = published
    expected = convert_published(weights, config).state_dict()
    for wrapper in ("_orig_mod.model.", "model._orig_mod.", "module.model.", ""):
        same(convert_published({wrapper + name: w for name, w in weights.items()}, config).state_dict(), expected)
    bare = {name.removeprefix("inner."): w for name, w in weights.items()}
    same(convert_published(bare, config).state_dict(), expected)


def test_other_number_formats_become_float32(published):
    weights, config = published
    model = convert_published({name: w.bfloat16() for name, w in weights.items()}, config)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    assert torch.equal(model.head.weight, weights["inner.lm_head.weight"].bfloat16().float())
    arrays = convert_published({name: w.numpy() for name, w in weights.items()}, config)
    assert torch.equal(arrays.head.weight, weights["inner.lm_head.weight"])


def test_without_puzzle_vectors(published):
    weights, config = published
    config = config | {"puzzle_emb_ndim": 0, "seq_len": 7}  # as long as before, so that token mixing keeps its size
    del weights["inner.puzzle_emb.weights"]
    model = convert_published(weights, config)
    assert (model.config.prefix, model.puzzle_vectors) == (0, None)
    same(to_published(model)[0], weights)


def test_a_prefix_length_of_zero_means_as_many_as_the_vector_needs(published):
    weights, config = published
    weights["inner.puzzle_emb.weights"] = torch.zeros(3, 32)
    assert convert_published(weights, config | {"puzzle_emb_len": 0, "puzzle_emb_ndim": 32}).config.prefix == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("inner.lm_head.weight"), "lm_head.weight .* is missing"),
        (lambda w: w.pop("inner.puzzle_emb.weights"), r"puzzle_emb.weights \(1 in all\) is missing"),
        (lambda w: w.update({"inner.extra": torch.zeros(1)}), "extra .* is not known"),
        (
            lambda w: w.update({"inner.q_head.bias": torch.zeros(3)}),
            r"halting_head.bias has shape \[3\] instead of \[2\]",
        ),
    ],
    ids=["missing", "no puzzles", "left over", "shape"],
)
def test_weights_that_do_not_fit_are_refused(published, change, words):
    weights, config = published
    change(weights)
    with pytest.raises(UserError, match=words):
        convert_published(weights, config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"causal": True}, "causal=True is not supported"),
        ({"pos_encodings": "learned"}, "pos_encodings=learned is not supported"),
        ({"rope_theta": 500.0}, "rope_theta"),
        ({"rms_norm_eps": 1e-6}, "rms_norm_eps"),
        ({"hidden_size": 15}, "even size|shape"),
        ({"L_cycles": 0}, "n is 0"),
    ],
    ids=str,
)
def test_settings_of_another_model_are_refused(published, change, words):
    weights, config = published
    with pytest.raises(UserError, match=words):
        convert_published(weights, config | change)


def test_attention_without_rotation_is_refused_and_token_mixing_has_none(published):
    weights, config = published
    if config["mlp_t"]:
        convert_published(weights, config | {"pos_encodings": "rope"})  # the published code ignores it there
    else:
        with pytest.raises(UserError, match="pos_encodings=none"):
            convert_published(weights, config | {"pos_encodings": "none"})


def test_a_setting_that_is_missing_is_named(published):
    weights, config = published
    del config["L_cycles"]
    with pytest.raises(UserError, match="'L_cycles'"):
        convert_published(weights, config)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"recursion": "single_z"}, "recursion=single_z"),
        ({"recursion": "direct"}, "recursion=direct"),
        ({"networks": 2}, "networks=2"),
        ({"experts": 2}, "experts=2"),
        ({"gradient_evaluations": 2}, "gradient_evaluations=2"),
        ({"tied_head": True}, "tied_head=True"),
        ({"act": "none"}, "act=none"),
        ({"inner_multiple": 8}, "rounded to 8"),
    ],
    ids=str,
)
def test_what_the_published_code_has_not_is_refused(kind, words):
    with pytest.raises(UserError, match=words):
        to_published(TRMForPuzzles(TRMConfig(**SIZES | kind)))


def test_other_inner_sizes_may_happen_to_fit():
    """96 x 4 x 2/3 = 256 is a multiple of 64 and of 256."""
    model = TRMForPuzzles(TRMConfig(**SIZES | {"width": 96, "inner_multiple": 64, "mixer": "attention"}))
    same(convert_published(*to_published(model)).state_dict(), model.state_dict())
