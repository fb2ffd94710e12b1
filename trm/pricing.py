"""What a recursive model costs: floating-point operations by formula, tested against torch's counter on "meta".

With f = the cost of the network on one problem, a supervision step runs it T (n + 1) times forwards, and k times
backwards at twice the price, where k is the number of evaluations with gradient: n + 1 in TRM, which makes
(T + 2)(n + 1) f in training; 2 with the 1-step gradient. HRM's form of halting adds a second forward pass. Only
matrix products count, as in :mod:`benchmarks.compute`. The Trainer's own estimate, 6 x tokens x parameters, knows
nothing of the recursion.
"""

from __future__ import annotations

from benchmarks.compute import BACKWARD
from trm.configuration import TRMConfig


def swiglu(rows: int, width: int, inner: int) -> float:
    """Three matrices (gate, up, down) on ``rows`` vectors."""
    return 2.0 * rows * 3 * width * inner


def network(config: TRMConfig) -> float:
    """One evaluation of the network on one problem.

    Per layer: the SwiGLU over d on l positions, 2 * 3 l d i(d); and either the SwiGLU over l on d channels,
    2 * 3 d l i(l), or attention, 2 * 4 l d^2 for q, k, v and the output and 2 * 2 l^2 d for scores and weighted sum.
    Of a mixture of experts each position pays one, and 2 l d experts for the router.
    """
    length, width = config.length, config.width
    mixing = (
        swiglu(width, length, config.inner_size(length))
        if config.mixer == "mlp"
        else 8.0 * length * width**2 + 4.0 * length**2 * width
    )
    routing = 2.0 * length * width * config.experts if config.experts > 1 else 0.0
    return config.layers * (mixing + routing + swiglu(length, width, config.inner_size(width)))


def heads(config: TRMConfig) -> float:
    """Output head on all positions and halting head (two outputs) on one."""
    halting = 2.0 * config.width * 2 if config.act != "none" else 0.0
    return 2.0 * config.positions * config.width * config.vocabulary_size + halting


def supervision_step(config: TRMConfig) -> float:
    """One supervision step of one problem, forwards only: what a step of thinking costs at evaluation."""
    return config.evaluations * network(config) + heads(config)


def training_step(config: TRMConfig) -> float:
    """One supervision step of one problem in training; what comes before the tracked evaluations is forwards only."""
    passes = 2 if config.act == "halt_continue" else 1
    return passes * supervision_step(config) + BACKWARD * (config.tracked * network(config) + heads(config))


def answer(config: TRMConfig, steps: int | None = None) -> float:
    """An answer after ``steps`` supervision steps."""
    return (config.supervision_steps if steps is None else steps) * supervision_step(config)


def parameters(config: TRMConfig) -> int:
    """Numbers that training changes; the puzzles' vectors and the first y and z are buffers, so they do not count.

    Per layer: the SwiGLU over d, 3 d i(d), or one for each expert and a router; and the SwiGLU over l, 3 l i(l), or
    attention, 4 d^2. Norms have no weights.
    """
    length, width = config.length, config.width
    mixing = 3 * length * config.inner_size(length) if config.mixer == "mlp" else 4 * width**2
    routing = width * config.experts if config.experts > 1 else 0
    feed_forward = config.experts * 3 * width * config.inner_size(width) + routing

    vocabulary = (1 if config.tied_head else 2) * config.vocabulary_size * width
    halting = 2 * width + 2 if config.act != "none" else 0
    return config.networks * config.layers * (mixing + feed_forward) + vocabulary + halting
