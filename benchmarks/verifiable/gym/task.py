"""Every task of reasoning-gym, an optional package, through one adapter: text questions, made without end.

reasoning-gym runs in a process of its own (:mod:`benchmarks.verifiable.gym.server`), which makes a problem the same
everywhere; which answers are right besides the gold one is in :mod:`benchmarks.verifiable.gym.rules`.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from benchmarks.drawing import Draft
from benchmarks.errors import UserError, did_you_mean
from benchmarks.options import require
from benchmarks.problem import Answer, Measure, Problem, Split, Verdict
from benchmarks.task import Task
from benchmarks.verifiable.gym.process import GymError, ask, require_reasoning_gym
from benchmarks.verifiable.gym.rules import FORMS, RULES, has_form, same

# The datasets of reasoning-gym 0.1.25, here so that a name can be checked without the library.
DATASETS = """
ab acre advanced_geometry aiw arc_1d arc_agi base_conversion basic_arithmetic bf binary_alternation binary_matrix
bitwise_arithmetic boxnet caesar_cipher calendar_arithmetic chain_sum circuit_logic codeio coin_flip
color_cube_rotation complex_arithmetic composite count_bits count_primes countdown course_schedule cryptarithm
decimal_arithmetic decimal_chain_sum dice emoji_mystery family_relationships figlet_font fraction_simplification
futoshiki game_of_life game_of_life_halting gcd graph_color group_anagrams gsm_symbolic intermediate_integration
isomorphic_strings jugs kakurasu knight_swap knights_knaves largest_island lcm leg_counting letter_counting
letter_jumble list_functions mahjong_puzzle manipulate_matrix maze mini_sudoku modulo_grid n_queens
needle_haystack number_filtering number_format number_sequence number_sorting palindrome_generation
palindrome_partitioning path_star polynomial_equations polynomial_multiplication pool_matrix power_function
prime_factorization products propositional_logic puzzle24 quantum_lock ransom_note rearc rectangle_count
rotate_matrix rotten_oranges rubiks_cube rush_hour self_reference sentence_reordering shortest_path
simple_equations simple_geometry simple_integration sokoban spell_backward spiral_matrix string_insertion
string_manipulation string_splitting string_synthesis sudoku survo syllogism time_intervals tower_of_hanoi tsumego
word_ladder word_sequence_reversal word_sorting zebra_puzzles
""".split()  # noqa: SIM905

PRINTABLE = "\n" + "".join(map(chr, range(32, 127)))
# What else questions and answers hold, of what was looked at; emoji_mystery and codeio can hold almost anything.
SIGNS = "°×÷→↔↑↓∧∨¬∫⊕─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓✅❌❔€£¥“”‘’™"  # noqa: RUF001

INDICES: Mapping[Split, range] = {"train": range(10**9), "test": range(2 * 10**9, 3 * 10**9)}
START = 500  # a seed's first index is a multiple of it: the server's block
SECONDS_PER_ITEM, SECONDS_PER_SCORE = 60.0, 10.0


@dataclass(frozen=True)
class Gym(Task):
    """One dataset of reasoning-gym with its configuration.

    An item is made from its index alone. Train and test take theirs from two ranges, each beginning where ``seed``
    says; as small datasets repeat their questions, a question also belongs to the split that its hash says, and
    others are passed over. So the splits share no question, whatever the seeds and counts. Two questions that differ
    in one character are two.

    Attributes:
        dataset: its name.
        config: its options (without ``seed`` and ``size``), for example ``{"min_value": 1}``. Of ``composite``:
            ``{"datasets": [{"name": "gcd", "weight": 1, "config": {}}, ...]}``.
        measure: ``valid``: any right answer; ``exact``: what says the same as the gold one.
    """

    dataset: str = "basic_arithmetic"
    config: dict[str, Any] = field(default_factory=dict, hash=False)
    measure: Measure = "valid"

    family: ClassVar[str] = "gym"
    noun: ClassVar[str] = "questions"
    patience: ClassVar[int] = 3_000
    draw_seconds: ClassVar[float] = 3_600.0  # its server has limits of its own

    def __post_init__(self) -> None:
        if self.dataset not in DATASETS:
            raise UserError(
                f"reasoning-gym has no dataset '{self.dataset}'.",
                where="dataset",
                cure=did_you_mean(str(self.dataset), DATASETS),
            )
        require(isinstance(self.config, Mapping), "config", "a mapping of options", self.config)
        for key in ("seed", "size"):
            if key in self.config:
                raise UserError(f"'{key}' is set by the task.", where=f"config.{key}", cure="Leave it out.")
        super().__post_init__()

    @property
    def name(self) -> str:
        if not self.config:
            return f"gym-{self.dataset}"
        return f"gym-{self.dataset}-{hashlib.sha256(self._options.encode()).hexdigest()[:6]}"

    @property
    def alphabet(self) -> str:
        return PRINTABLE + SIGNS

    @property
    def instructions(self) -> str:
        return (
            "Answer the question. Give the final answer exactly in the form that the question asks for, "
            "without a unit, a comment or an explanation."
        )

    @property
    def _options(self) -> str:
        return json.dumps(self.config, sort_keys=True)

    # --- problems -------------------------------------------------------------------------------

    @property
    def more_problems(self) -> str:
        return "Ask for fewer, or choose a config with more different questions."

    def drafts(self, split: Split, seed: int, found: Mapping[str, Problem]) -> Iterator[Draft | None]:
        """Items of the split's range without end, from the seed's place on; ``None`` for one that has no label.

        Raises:
            UserError: if reasoning-gym is missing, or refuses the configuration.
        """
        require_reasoning_gym()
        indices = INDICES[split]
        digest = hashlib.sha256(f"{self.name} {split} {seed}".encode()).digest()
        start = int.from_bytes(digest[:8], "big") % (len(indices) // START) * START
        for at in itertools.count(start):
            try:
                item = self._ask("item", SECONDS_PER_ITEM, index=indices[at % len(indices)])
            except GymError as error:
                raise UserError(
                    f"reasoning-gym makes no items: {error}.",
                    where=self.name,
                    cure="Correct config, or choose another dataset.",
                ) from None
            yield None if item is None else self._draft_of(item)

    def _draft_of(self, item: Mapping[str, Any]) -> Draft:
        problem = self._problem(item)
        return Draft(problem.orbit, problem.orbit, lambda: problem)

    def _ask(self, what: str, patience: float, **more: Any) -> Any:
        return ask({"ask": what, "dataset": self.dataset, "config": self._options, **more}, patience)

    def _problem(self, item: Mapping[str, Any]) -> Problem:
        question = item["question"]
        meta = {"index": item["index"], "source": item["source"], "known": item["known"]}
        return Problem(
            id=f"{self.name}/{item['index']}",
            question=question,
            answer=item["answer"],
            orbit=hashlib.sha256(question.encode()).hexdigest()[:16],
            meta=meta,
        )

    def parse_question(self, text: str) -> Problem:
        raise UserError(
            "a question of reasoning-gym cannot be typed: nothing would know its answer.",
            where=self.name,
            cure="Use the generated problems.",
        )

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: says the same as the gold answer; valid: also what a rule, or a scorer that can be trusted, accepts.

        The score is 1 or, where the dataset's scorer is asked, its own, and less than 1 for a wrong answer.
        """
        if answer is None:
            return Verdict.wrong("no answer could be read")

        exact = same(answer.text, problem.answer)
        fault, score = ("", 1.0) if exact else self._fault(problem, answer.text.strip())
        verdict = self.verdict(exact, fault, score, "a right answer, but not the gold one")
        return replace(verdict, score=1.0 if verdict.correct else min(max(score, 0.0), 0.99))

    def _fault(self, problem: Problem, text: str) -> tuple[str, float]:
        """What is wrong with an answer that is not the gold one, and its score; no fault: it is right all the same."""
        source = problem.meta.get("source", self.dataset)
        known = problem.meta.get("known", "")
        if known and source in RULES:
            fault = RULES[source](text, ast.literal_eval(known))
            return fault, float(not fault)
        if not known or source not in FORMS:
            return f"it is not {problem.answer[:60]!r}", 0.0
        if not has_form(source, text):
            return "it has not the form of an answer", 0.0
        try:
            score = self._ask("score", SECONDS_PER_SCORE, known=known, gold=problem.answer, answer=text)
        except GymError as error:
            return f"reasoning-gym could not score it ({error})", 0.0
        return ("" if score == 1.0 else f"reasoning-gym scores it {score:.2f}"), score

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        return f"{problem.question.strip()}\n"

    def answer_text(self, problem: Problem) -> str:
        return problem.answer.strip()

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """The whole text, spaces around it aside; ``None`` if it is empty or far longer than the gold answer."""
        kept = text.strip()
        return Answer(kept) if kept and len(kept) <= 4 * len(problem.answer) + 1_000 else None

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        question = problem.question.strip()
        return question if answer is None else f"{question}\n\n{answer.text}"
