"""The published training step as plain arithmetic, written down from its description only: nothing of trm/ is used.

It writes recordings of any size in the form that :func:`trm.parity.replay` reads. Weights live in one dictionary under
their published names; every formula is spelled out, slowly.
"""

from __future__ import annotations

import json
import math

import numpy as np
import torch
from torch import nn

LEARNING_RATE, DECAY, BETA1, BETA2 = 1e-3, 0.1, 0.9, 0.95
PUZZLE_LEARNING_RATE, PUZZLE_DECAY = 1e-2, 0.1


def settings(attention, prefix, layers, n, T, width=16, positions=5, vocabulary=6, puzzles=3, steps=2):
    return {
        "seq_len": positions, "vocab_size": vocabulary, "num_puzzle_identifiers": puzzles, "causal": False,
        "halt_exploration_prob": 0.0, "halt_max_steps": steps, "H_cycles": T, "L_cycles": n, "H_layers": 0,
        "L_layers": layers, "hidden_size": width, "num_heads": 2, "expansion": 4, "puzzle_emb_ndim": width,
        "puzzle_emb_len": prefix, "pos_encodings": "rope" if attention else "none", "forward_dtype": "float32",
        "mlp_t": not attention, "no_ACT_continue": True,
    }  # fmt: skip


def random_weights(config, generator):
    """Halting and puzzle weights are not zero, so that they matter; what blocks add is damped, or rounding would grow
    to visible differences within a step (small token-mixing networks are chaotic)."""
    d, length = config["hidden_size"], config["seq_len"] + config["puzzle_emb_len"]

    def draw(*shape, deviation=None):
        deviation = shape[-1] ** -0.5 if deviation is None else deviation
        return nn.Parameter(deviation * torch.randn(shape, generator=generator))

    def damped(*shape):
        return draw(*shape, deviation=0.4 * shape[-1] ** -0.5)

    def inner(size):
        return -(-round(config["expansion"] * size * 2 / 3) // 256) * 256

    weights = {
        "H_init": draw(d, deviation=1.0),
        "L_init": draw(d, deviation=1.0),
        "embed_tokens.embedding_weight": draw(config["vocab_size"], d),
        "lm_head.weight": draw(config["vocab_size"], d),
        "q_head.weight": draw(2, d, deviation=0.5),
        "q_head.bias": draw(2, deviation=0.1),
        "puzzle_emb.weights": draw(config["num_puzzle_identifiers"], d, deviation=0.3),
    }
    for i in range(config["L_layers"]):
        block = f"L_level.layers.{i}."
        if config["mlp_t"]:
            weights[block + "mlp_t.gate_up_proj.weight"] = draw(2 * inner(length), length)
            weights[block + "mlp_t.down_proj.weight"] = damped(length, inner(length))
        else:
            weights[block + "self_attn.qkv_proj.weight"] = draw(3 * d, d)
            weights[block + "self_attn.o_proj.weight"] = damped(d, d)
        weights[block + "mlp.gate_up_proj.weight"] = draw(2 * inner(d), d)
        weights[block + "mlp.down_proj.weight"] = damped(d, inner(d))
    return weights


def norm(h):
    return h / torch.sqrt((h * h).mean(-1, keepdim=True) + 1e-5)


def swiglu(h, gate_up, down):
    both = h @ gate_up.T
    half = both.shape[-1] // 2
    gate, up = both[..., :half], both[..., half:]
    return (gate * torch.sigmoid(gate) * up) @ down.T


def attention(h, qkv, out, heads):
    """Softmax over all positions; position p turns the pair (i, i + e/2) of a head by p / 10000^(2i/e)."""
    batch, length, d = h.shape
    e = d // heads
    q, k, v = (part.view(batch, length, heads, e) for part in (h @ qkv.T).split(d, dim=-1))
    position = torch.arange(length, dtype=torch.float32)[:, None]
    angle = position * 10_000.0 ** (-2 * torch.arange(e // 2, dtype=torch.float32) / e)
    cos, sin = angle.cos()[None, :, None], angle.sin()[None, :, None]

    def turned(u):
        a, b = u[..., : e // 2], u[..., e // 2 :]
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)

    scores = torch.einsum("bqhe,bkhe->bhqk", turned(q), turned(k)) / math.sqrt(e)
    return torch.einsum("bhqk,bkhe->bqhe", scores.softmax(-1), v).reshape(batch, length, d) @ out.T


class PublishedTRM:
    def __init__(self, config, seed):
        self.config = config
        self.w = random_weights(config, torch.Generator().manual_seed(seed))
        self.trained = [name for name in self.w if name not in ("H_init", "L_init", "puzzle_emb.weights")]
        self.first = {name: torch.zeros_like(self.w[name]) for name in self.trained}
        self.second = {name: torch.zeros_like(self.w[name]) for name in self.trained}
        self.updates = 0

    def net(self, h):
        for i in range(self.config["L_layers"]):
            block = f"L_level.layers.{i}."
            if self.config["mlp_t"]:
                turned = h.transpose(1, 2)
                mixed = swiglu(
                    turned, self.w[block + "mlp_t.gate_up_proj.weight"], self.w[block + "mlp_t.down_proj.weight"]
                )
                h = norm(turned + mixed).transpose(1, 2)
            else:
                qkv, out = self.w[block + "self_attn.qkv_proj.weight"], self.w[block + "self_attn.o_proj.weight"]
                h = norm(h + attention(h, qkv, out, self.config["num_heads"]))
            h = norm(h + swiglu(h, self.w[block + "mlp.gate_up_proj.weight"], self.w[block + "mlp.down_proj.weight"]))
        return h

    def think(self, y, z, inputs, puzzle_ids):
        """One supervision step."""
        config, d = self.config, self.config["hidden_size"]
        tokens = self.w["embed_tokens.embedding_weight"][inputs]
        front = torch.zeros(len(inputs), config["puzzle_emb_len"], d)
        front = torch.cat((self.w["puzzle_emb.weights"][puzzle_ids][:, None], front[:, 1:]), dim=1)
        x = math.sqrt(d) * torch.cat((front, tokens), dim=1)
        for cycle in range(config["H_cycles"]):
            with torch.set_grad_enabled(cycle == config["H_cycles"] - 1):
                for _ in range(config["L_cycles"]):
                    z = self.net(z + (y + x))
                y = self.net(y + z)
        logits = y[:, config["puzzle_emb_len"] :] @ self.w["lm_head.weight"].T
        q = y[:, 0] @ self.w["q_head.weight"].T + self.w["q_head.bias"]
        return y, z, logits, q[:, 0]

    def fresh(self, batch):
        shape = (batch, self.config["seq_len"] + self.config["puzzle_emb_len"], self.config["hidden_size"])
        return self.w["H_init"].detach().expand(shape), self.w["L_init"].detach().expand(shape)

    def losses(self, logits, q, labels):
        x = logits.double()
        s = torch.where(x >= 0, x + 1, 1 / torch.where(x >= 0, torch.ones_like(x), 1 - x))
        p = s / s.sum(-1, keepdim=True)
        answer, halting = torch.zeros((), dtype=torch.float64), torch.zeros(())
        for row in range(len(labels)):
            cells = [i for i in range(labels.shape[1]) if labels[row, i] != -100]
            answer = answer - sum(p[row, i, labels[row, i]].log() for i in cells) / len(cells)
            right = all(logits[row, i].argmax() == labels[row, i] for i in cells)
            halting = halting - torch.log(torch.sigmoid(q[row] if right else -q[row]))
        return answer, halting

    def optimise(self, puzzle_ids):
        self.updates += 1
        with torch.no_grad():
            for name in self.trained:
                p, g = self.w[name], self.w[name].grad
                self.first[name] = BETA1 * self.first[name] + (1 - BETA1) * g
                self.second[name] = BETA2 * self.second[name] + (1 - BETA2) * g * g
                root = self.second[name].sqrt() / math.sqrt(1 - BETA2**self.updates)
                p *= 1 - LEARNING_RATE * DECAY
                p -= LEARNING_RATE / (1 - BETA1**self.updates) * torch.atan2(self.first[name], root)
            vectors = self.w["puzzle_emb.weights"]
            for row in set(puzzle_ids.tolist()):
                vectors[row] *= 1 - PUZZLE_LEARNING_RATE * PUZZLE_DECAY
                vectors[row] -= PUZZLE_LEARNING_RATE * vectors.grad[row].sign()
        for p in self.w.values():
            p.grad = None


def record(path, config, steps, seed=0, batch=4):
    """Train so many steps on random batches and write down everything on the way."""
    model = PublishedTRM(config, seed)
    generator = torch.Generator().manual_seed(seed + 100)
    kept = {"config": np.array(json.dumps(config))}

    def keep(name, tensor):
        kept[name] = tensor.detach().numpy().copy()

    def draw():
        inputs = torch.randint(config["vocab_size"], (batch, config["seq_len"]), generator=generator)
        labels = torch.randint(config["vocab_size"], (batch, config["seq_len"]), generator=generator)
        labels[:, 0] = -100
        return inputs, labels, torch.randint(config["num_puzzle_identifiers"], (batch,), generator=generator)

    for name, p in model.w.items():
        keep(f"state/inner.{name}", p)
    y, z = model.fresh(batch)
    halted, count = torch.ones(batch, dtype=torch.bool), torch.zeros(batch, dtype=torch.long)
    held = draw()
    for i in range(steps):
        offered = draw()
        for name, tensor in zip(("inputs", "labels", "puzzle_identifiers"), offered, strict=True):
            keep(f"train/{i}/batch/{name}", tensor)
        for row in halted.nonzero()[:, 0].tolist():
            y, z = y.clone(), z.clone()
            y[row], z[row], count[row] = model.fresh(1)[0][0], model.fresh(1)[1][0], 0
            for mine, new in zip(held, offered, strict=True):
                mine[row] = new[row]
        y, z, logits, q = model.think(y, z, held[0], held[2])
        answer, halting = model.losses(logits, q, held[1])
        ((answer + 0.5 * halting) / batch).backward()
        count = count + 1
        halted = (count >= config["halt_max_steps"]) | (q > 0)
        y, z = y.detach(), z.detach()
        quantities = {
            "logits": logits, "q_halt_logits": q, "lm_loss_sum": answer, "q_halt_loss_sum": halting,
            "loss_sum": answer + 0.5 * halting, "halted_after": halted, "steps_after": count,
        }  # fmt: skip
        for name, tensor in quantities.items():
            keep(f"train/{i}/{name}", tensor)
        for name in model.trained:
            keep(f"train/{i}/grad/inner.{name}", model.w[name].grad)
        model.optimise(held[2])
    for name, p in model.w.items():
        keep(f"state_after/inner.{name}", p)
    np.savez(path, **kept)
