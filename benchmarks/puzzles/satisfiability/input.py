"""Typed formulas: clauses as letters (``abC aDe``), or the DIMACS form of the satisfiability competitions."""

from __future__ import annotations

from itertools import chain

from benchmarks.errors import UserError
from benchmarks.puzzles.satisfiability.formulas import VARIABLES

SEPARATORS = " ,;/&()\n\t"


def read_formula(text: str, variables: int, clauses: int) -> str:
    """The formula in letters, with exactly ``clauses`` clauses over the first ``variables`` letters.

    Text with a digit is read as DIMACS, anything else as letters, where signs and spaces between clauses mean nothing.

    Raises:
        UserError: if a clause does not have three literals of different variables, or a number is another one.
    """
    where = f"the formula of {variables} variables and {clauses} clauses"
    text = text.replace("\r", "\n")
    read = _dimacs if any(char.isdigit() for char in text) else _letters
    found = read(text, variables, where)
    for number, clause in enumerate(found, start=1):
        if len(set(clause.lower())) != 3 or len(clause) != 3:
            raise UserError(
                f"clause {number}, '{clause}', does not have three literals of different variables.",
                where=where,
                cure="Write each clause as three letters, for example abC.",
            )
    if len(found) != clauses:
        raise UserError(
            f"{len(found)} clauses were given instead of {clauses}.",
            where=where,
            cure=f"Use a task with clauses={len(found)}."
            if len(found) > clauses
            else "Repeat a clause until there are enough: that changes no answer.",
        )
    return "".join(found)


def _letters(text: str, variables: int, where: str) -> list[str]:
    """Clauses as they are separated; where one part is left, every three letters."""
    names = VARIABLES[:variables]
    for char in text:
        if char.lower() not in names and char not in SEPARATORS:
            raise UserError(
                f"'{char}' is not a literal.",
                where=where,
                cure=f"Write {names[0]} to {names[-1]} for true, {names[0].upper()} to {names[-1].upper()} for false.",
            )
    parts = text.translate(str.maketrans(SEPARATORS, " " * len(SEPARATORS))).split()
    return [parts[0][at : at + 3] for at in range(0, len(parts[0]), 3)] if len(parts) == 1 else parts


def _dimacs(text: str, variables: int, where: str) -> list[str]:
    """Clauses of numbers, each ended by 0; the lines of comments and the header may be left out."""
    lines = [line.split() for line in text.split("\n")]
    for words in lines:
        if words[:1] == ["p"] and (words[1:2] != ["cnf"] or words[2:3] != [str(variables)]):
            raise UserError(
                f"the header '{' '.join(words)}' does not say 'p cnf {variables}'.",
                where=where,
                cure="Use a task with that number of variables, or correct the header.",
            )
    found = [""]
    numbers = chain.from_iterable(words for words in lines if words[:1] not in (["c"], ["p"]))
    for word in numbers:
        if not word.removeprefix("-").isdecimal() or abs(int(word)) > variables:
            raise UserError(
                f"'{word}' is not a literal.", where=where, cure=f"Write 1 to {variables} or -1 to -{variables}."
            )
        if int(word) == 0:
            found.append("")
        else:
            letter = VARIABLES[abs(int(word)) - 1]
            found[-1] += letter.upper() if int(word) < 0 else letter
    if found.pop():
        raise UserError("the last clause does not end.", where=where, cure="Write 0 after each clause.")
    return found
