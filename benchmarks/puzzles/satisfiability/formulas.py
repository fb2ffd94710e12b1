"""Formulas of three-literal clauses: truth tables, right answers and the key of an orbit.

A literal is one letter: ``a`` says that the first variable is true, ``A`` that it is false. A formula is the string of
its clauses, three letters each, without a separator. A *table* is a Python integer with one bit per assignment, set
where something holds: with at most 20 variables all assignments are looked at together, so every count is exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cache
from hashlib import sha256

VARIABLES = "abcdefghijklmnopqrst"


def clauses_of(formula: str) -> list[str]:
    """The clauses in the order in which they are written."""
    return [formula[at : at + 3] for at in range(0, len(formula), 3)]


@cache
def possible_clauses(variables: int, kept_by_all_true: bool) -> list[str]:
    """Every clause over three different variables; where asked, only those that hold when all variables are true."""
    clauses: list[str] = []
    for letters in itertools.combinations(VARIABLES[:variables], 3):
        signed = itertools.product(*((letter, letter.upper()) for letter in letters))
        clauses += ["".join(literals) for literals in signed]
    return [clause for clause in clauses if not (kept_by_all_true and clause.isupper())]


@cache
def literal_tables(variables: int) -> dict[str, int]:
    """The table of every literal.

    Assignments are numbered so that those with ``a`` true come first, among them those with ``b`` true, and so on.
    """
    everything = (1 << (1 << variables)) - 1
    tables = {}
    for number, letter in enumerate(VARIABLES[:variables]):
        run = 1 << (variables - 1 - number)  # so many assignments in a row agree on this variable
        table, width = (1 << run) - 1, 2 * run
        while width < 1 << variables:
            table |= table << width
            width *= 2
        tables[letter], tables[letter.upper()] = table, everything ^ table
    return tables


def right_answers(variables: int, clauses: Iterable[str]) -> int:
    """The table of the assignments that make every clause true; its ``bit_count()`` is their number."""
    tables = literal_tables(variables)
    table = (1 << (1 << variables)) - 1
    for clause in clauses:
        table &= tables[clause[0]] | tables[clause[1]] | tables[clause[2]]
        if not table:
            break
    return table


def first_answer(variables: int, table: int) -> str:
    """The first assignment of a table that is not empty, as one literal per variable."""
    number = (table & -table).bit_length() - 1
    bits = f"{number:0{variables}b}"
    return "".join(v.upper() if bit == "1" else v for v, bit in zip(VARIABLES, bits, strict=False))


def false_clause(formula: str, answer: str) -> int | None:
    """The number, from 0, of the first clause in which no literal is true; ``None`` if there is none."""
    true = set(answer)
    return next((i for i, clause in enumerate(clauses_of(formula)) if true.isdisjoint(clause)), None)


def orbit(formula: str) -> str:
    """A key that does not change when clauses, literals in a clause or variables are reordered or variables flipped.

    Colour refinement (Weisfeiler and Leman 1968) on literals: a literal's colour is refined by that of its opposite
    and by those of the literals that it shares clauses with, until no colour splits any more. The key hashes all
    rounds. Formulas that the refinement cannot tell apart share a key; images of each other always do.
    """
    clauses = clauses_of(formula)
    colour = dict.fromkeys({*formula, *formula.swapcase()}, 0)
    digest, classes = sha256(), 0
    while True:
        shared: dict[str, list[list[int]]] = {literal: [] for literal in colour}
        for clause in clauses:
            colours = sorted(colour[literal] for literal in clause)
            for literal in clause:
                shared[literal].append(colours)
        signature = {x: (colour[x], colour[x.swapcase()], sorted(shared[x])) for x in colour}
        ordered = sorted(signature.values())
        digest.update(repr(ordered).encode())
        rank = {repr(value): number for number, (value, _) in enumerate(itertools.groupby(ordered))}
        if len(rank) == classes:
            return digest.hexdigest()[:16]
        classes = len(rank)
        colour = {literal: rank[repr(value)] for literal, value in signature.items()}
