"""What an autoregressive recursive model costs, by formula, tested against torch's counter on "meta".

With f(l) the cost of a pass over l positions, a supervision step runs T (n + 1) of them forwards and, in training, the
last round's n + 1 backwards at twice the price; ``jacobi`` does so for each sweep, with the backward pass of the last
sweep's steps and of what it sees (a little too much: below 4 %, as for a single stream with several steps). Attention
is counted as the full square, also under a causal mask (:mod:`benchmarks.compute`), and a key of one's own beside a
memory as nothing. Decoding pays for each token the steps it took, against the keys of its prefix: linear in both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean, harmonic_mean
from typing import Protocol, runtime_checkable

from benchmarks.compute import BACKWARD
from trm.autoregressive.choices import EXACT, Halting, Mode, Policy, TrainingDepth, TrainingSweeps


@runtime_checkable
class Refinement(Protocol):
    """What of :class:`trm.autoregressive.configuration.AutoregressiveTRMConfig` a price depends on."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    intermediate_size: int
    supervision_steps: int
    sweeps: int
    deep_supervision: bool
    halting: Halting
    training_mode: Mode
    training_depth: TrainingDepth
    training_sweeps: TrainingSweeps
    step_embedding: bool

    @property
    def networks(self) -> int:
        """Networks with weights of their own."""
        ...

    @property
    def passes(self) -> int:
        """Evaluations of a network in one supervision step."""
        ...

    @property
    def tracked(self) -> int:
        """Those with gradient in training."""
        ...

    @property
    def policy(self) -> Policy:
        """What is kept of a token when decoding."""
        ...


@dataclass(frozen=True)
class RefinementPrice:
    """Prices a model; see :class:`benchmarks.compute.LanguageModelPrice`."""

    config: Refinement
    outputs: int | None = None  # of the head; the vocabulary, if not given
    last_state: bool = False  # the loss is that of TRL's trainers: all steps are taken, the last one is learned from

    def with_head(self, outputs: int) -> RefinementPrice:
        return replace(self, outputs=outputs)

    def of_last_state(self) -> RefinementPrice:
        return replace(self, last_state=True)

    def parameters(self) -> int:
        """Weights of the whole model: embedding and head, the networks' blocks (4 d^2 + 3 d i each), and what its
        steps and its halting add. Norms have no weights."""
        config = self.config
        width = config.hidden_size
        block = 4 * width**2 + 3 * width * config.intermediate_size
        steps = config.passes * width if config.step_embedding else 0
        halting = 0 if config.halting == "none" else width + 1
        return config.networks * config.num_hidden_layers * block + 2 * config.vocab_size * width + steps + halting

    @property
    def head(self) -> float:
        """Scores of all tokens for one position, and its halting logit."""
        outputs = self.config.vocab_size if self.outputs is None else self.outputs
        return 2.0 * self.config.hidden_size * (outputs + (self.config.halting == "correct"))

    def one_pass(self, queries: int, keys: float) -> float:
        """A pass over ``queries`` positions, each attending to ``keys``: per block q, k, v, o (8 d^2), the SwiGLU
        (6 d i), scores and weighted sum (4 d per key); with ACT its halting unit."""
        config = self.config
        block = 8.0 * config.hidden_size**2 + 6.0 * config.hidden_size * config.intermediate_size
        attention = 4.0 * config.hidden_size * keys
        halting = 2.0 * config.hidden_size if config.halting == "act" else 0.0
        return queries * (config.num_hidden_layers * (block + attention) + halting)

    def per_token(self, steps: float | None = None) -> float:
        """One token after ``steps`` supervision steps (all, if not given), attention left out."""
        steps = self.config.supervision_steps if steps is None else steps
        return steps * self.config.passes * self.one_pass(1, 0) + self.head

    def forward(self, batch: int, length: int) -> float:
        """The last step's logits of whole sequences."""
        config = self.config
        sweeps = config.sweeps if config.training_mode == "jacobi" else 1
        return batch * (self._refinement(length, config.supervision_steps, sweeps) + length * self.head)

    def training_step(
        self, batch: int, length: int, supervision_steps: int | None = None, sweeps: int | None = None
    ) -> float:
        """Forwards and backwards, with the losses of all steps that are learned from.

        Args:
            supervision_steps, sweeps: of this batch; if not given, the mean over training as ``training_depth`` and
                ``training_sweeps`` have it.
        """
        config, steps = self.config, supervision_steps
        if self.last_state:
            steps, sweeps = config.supervision_steps, config.sweeps
        if steps is None:
            each = [self.training_step(batch, length, depth + 1, sweeps) for depth in range(config.supervision_steps)]
            return {"full": each[-1], "random": fmean(each), "growing": harmonic_mean(each)}[config.training_depth]
        if config.training_mode != "jacobi":
            sweeps = 1
        elif sweeps is None and config.training_sweeps == "random":
            return fmean(self.training_step(batch, length, steps, number) for number in range(2, config.sweeps + 1))
        elif sweeps is None:
            sweeps = config.sweeps
        heads = steps if config.deep_supervision and not self.last_state else 1
        learned = heads * config.tracked
        if sweeps > 1:  # and what the last sweep sees of the one before
            learned += config.tracked
        backward = BACKWARD * learned * self.one_pass(length, self._keys(length))
        return batch * (
            self._refinement(length, steps, sweeps) + backward + (1 + BACKWARD) * heads * length * self.head
        )

    def generation(self, batch: int, prompt: int, new: int, steps: float | None = None) -> float:
        """The prompt at full depth (with ``first_depth`` its first pass alone; under ``committed`` and ``last_of_role``
        one token after the other), then ``new`` tokens of ``steps`` supervision steps each on average."""
        config = self.config
        steps = config.supervision_steps if steps is None else steps
        before = max(prompt - 1, 0)  # the prompt's last token makes the first new one
        once = 1 if config.policy == "first_depth" else config.supervision_steps * config.passes
        prefill = once * self.one_pass(before, before if config.policy in EXACT else max(before - 1, 0) / 2)
        keys = new * before + new * (new - 1) / 2
        passes = steps * config.passes * (self.one_pass(new, 0) + self.one_pass(1, keys) - self.one_pass(1, 0))
        return batch * (prefill + passes + new * self.head)

    def _keys(self, length: int) -> float:
        return (length - 1) / 2 if self.config.training_mode == "sequential" else length

    def _refinement(self, length: int, steps: int, sweeps: int) -> float:
        passes = sweeps * steps * self.config.passes
        return passes * self.one_pass(length, self._keys(length))
