"""The one final answer in the free text of a model that was only prompted, as text; each family parses it.

The prompt asks for ``<answer>...</answer>`` at the end; models also write ``\\boxed{...}``, ``#### 18``, "The answer is
18." or "So she has 18 apples.". What a careful reader would not take for a commitment is none: a question, a negation
("the answer is not 18"), a quoted instruction (``<answer>...</answer>``), a thought, a text that ends in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.verifiable.numbers import parse_number

LONGEST = 20_000  # characters that are looked at, from the end: the answer stands there
LONGEST_ANSWER = 4_000  # also of a text that is an answer as a whole

THOUGHT = re.compile(r"<(/?)(?:think|thinking|thought|thoughts|reasoning|scratchpad)>", flags=re.IGNORECASE)
TAG = re.compile(r"<\s{0,2}(/?)\s{0,2}answer\s{0,2}>", flags=re.IGNORECASE)
BOX = re.compile(r"\\(?:boxed|fbox)\s{0,2}(?:\{|(?=\d))")
HASHES = re.compile(r"^[ \t]{0,8}####[ \t]{0,8}(?![#\s])(?P<content>[^\n]*)", flags=re.MULTILINE)

NOUN = (
    r"(?P<noun>(?:(?:my|our|the|correct|right|best|final)\s{1,3}){0,4}"
    r"(?:answer(?:\s(?:choice|option|letter))?|ans\b\.?|(?<=final\s)(?:result|solution)"
    r"|(?:(?<=correct\s)|(?<=right\s))(?:option|choice|letter)))"
)
VERB = (
    r"(?:[ \t]{0,3}[*_]{0,3}[ \t]{0,3}[:=][ \t]{0,3}"
    r"|\s{1,3}(?:is|are|was|equals|would\sbe|should\sbe|must\sbe|will\sbe|therefore\sis)\b[ \t]{0,3}:?[ \t]{0,3}"
    r"|[ \t]{1,3}(?:-[ \t])?(?:option[ \t])?(?=\(?[A-J](?:\)|[.* \t]{0,3}(?:\n|$)))"  # Answer B
    r"|[ \t]{1,3}[-\u2013][ \t]{1,3}(?=\S)"
    r"|[ \t]{0,3}(?=\n))"
)
STATED = re.compile(
    rf"\b{NOUN}[*_\"”]{{0,3}}(?P<part>\s(?:to|for|of)\s[^.:\n]{{1,60}}?)?[*_]{{0,3}}(?:(?i:{VERB}))[*_]{{0,3}}",
    flags=re.IGNORECASE,
)
REVERSED = re.compile(
    r"(?P<content>[^\s.,;:!?][^.;:!?\n]{0,60}?)[ ]is[ ](?:therefore[ ]|thus[ ]|indeed[ ])?"
    r"(?:(?:(?:the|our|my)[ ])?(?P<final>final[ ])?(?:correct[ ]|right[ ]|final[ ])?(?:answer|option|choice)"
    r"|correct|right)"
    r"(?=\s{0,3}[.!\n]|\s{0,3}$)",
    flags=re.IGNORECASE,
)
NOT_THE_ANSWER = re.compile(
    r"(?:\bnot|n['\u2019]t)\s(?:the|an|our|my)\s(?:\w{1,9}\s)?(?:answer|option|choice)\b"
    r"|\banswer\s(?:is\snot|isn['\u2019]t|cannot|can['\u2019]t|could\snot|couldn['\u2019]t)\b",
    flags=re.IGNORECASE,
)
CONCLUSION = re.compile(
    r"^(?:so|therefore|thus|hence|consequently|in conclusion|in total|in all|altogether|overall|finally|as a result"
    r"|\u2234)\b,?\s+(?P<content>.+)$",
    flags=re.IGNORECASE | re.DOTALL,
)

LETTER_LINE = re.compile(
    r"[*_]{0,3}(?P<word>(?:option|choice)\s{0,2}:?\s{0,2})?\(?(?P<letter>[A-J])\)?[.*_]{0,4}", flags=re.IGNORECASE
)

CLAUSE = re.compile(r"[.,;:!?\n]|\b(?:so|then|therefore|thus|hence|and|but)\b", flags=re.IGNORECASE)
DOUBT = re.compile(  # in the clause before a statement: "I do not think that", "if"
    r"\b(?:not|never|no|doubt|wrong|incorrect|maybe|perhaps|possibly|might|could|may|cannot|claim(?:s|ed)|says|said"
    r"|thinks|thought|guesses|guessed)\b|n['\u2019]t\b"
    r"|\b(?:if|whether|suppose|supposing|assume|assuming|unless)\s(?:that\s)?$|\b(?:is|was|can)\s$",
    flags=re.IGNORECASE,
)
DENIED = re.compile(r"(?:\b(?:not|never)|n['\u2019]t)\s+(?:be\s+)?[$*_\s]{0,4}$", flags=re.IGNORECASE)  # before a box
NEGATED = re.compile(r"[*_\s]{0,4}(?:(?:definitely|certainly|clearly|surely|probably)\s)?(?:not|never|neither)\b", re.I)
REFUTED = re.compile(
    r"\bis\s+(?:not|wrong|incorrect|false|impossible)\b|\bisn['\u2019]t\b|\bnot correct\b|\bwhich is wrong\b", re.I
)
CORRECTION = re.compile(
    r"\b(?:wait|actually|oops|correction|corrected|scratch that|my mistake|apologi[sz]e|apologies|sorry|no,"
    r"|on second thought|i was wrong|mistaken|recheck|recalculat\w+|reconsider\w*|hold on"
    r"|(?<!if i )(?:made|make) an? (?:error|mistake|slip)|let me (?:re|double|check|correct|fix)"
    r"|(?:that|this|which)(?:['\u2019]s| is| was) (?:wrong|incorrect|not right|not correct|a mistake|an error|false))",
    flags=re.IGNORECASE,
)
REASON = re.compile(
    r",?\s{0,3}\(?\b(?:because|since|as (?:the|we|it|they|he|she)|which|given that|after)\b.*$|, so\b.*$"
    r"|\s\([^()]*[*+=\u00d7\u00f7][^()]*\)$",
    re.I | re.S,
)
PLACEHOLDER = re.compile(
    r"[.\u2026\s]*|[\[{(<]?(?:your |the |my )?(?:final )?(?:answer|number|letter|result)(?: here)?[\]})>]?", re.I
)
SENTENCE_END = re.compile(r"[.!?](?=[\s*_\"”)]|$)|\n")


@dataclass(frozen=True)
class _Commitment:
    """An answer that the text commits itself to; a lower rank is a more definite form."""

    start: int
    end: int
    rank: int
    content: str


def final_answer(text: str) -> str | None:
    """The final answer, or ``None`` where the text commits itself to none, or to several.

    The rules, in their order:

    1. Thoughts (``<think>...</think>`` and their kin) are taken out; one that never ends is a cut text: ``None``. Of
       what is left only the last 20,000 characters are read.
    2. Commitments are, from the most to the least definite: ``<answer>...</answer>``; ``\\boxed{...}``, ``#### ...``
       and "the final answer is ..."; "the answer is ...", "Answer: ...", "... is the answer". Doubtful, negated,
       refuted, questioned and empty ones are none. A tag or box that is not closed is a cut text: ``None``. An answer
       "to" or "of" something, which may be a part of the question, is the least definite.
    3. The last commitment of the most definite form counts. An earlier one of that form that says something else, or
       a later one of a less definite form, is a contradiction (``None``) unless the text corrects itself between the
       two ("wait", "that is wrong"); then the later counts. If the text takes back the last commitment and makes no
       other, there is none.
    4. Without any commitment, and if none was made and rejected: the last sentence, if it is complete and begins with
       "so", "therefore" or the like; or the last line, if it is a number or a letter and the line before it is prose.
    5. Else the whole text, if it is short: the model wrote its answer alone.

    The answer comes without the frame around it (box, bold type, dollar signs in pairs, the full stop).
    """
    rest = _without_thoughts(text)
    if rest is None or not rest.strip():
        return None
    rest = rest[-LONGEST:]
    try:
        commitments, rejected = _commitments(rest)
    except _CutText:
        return None
    if commitments:
        return _decide(rest, commitments)
    if rejected:
        return None
    return _conclusion(rest) or _whole(rest)


class _CutText(Exception):
    """The text ends inside its answer."""


def _without_thoughts(text: str) -> str | None:
    """What stands outside the thoughts; a thought may have been opened by the prompt."""
    kept, start, opened = "", 0, False
    for mark in THOUGHT.finditer(text):
        if mark[1]:
            kept, start, opened = (kept if opened else ""), mark.end(), False
        elif not opened:
            kept, opened = f"{kept}{text[start : mark.start()]}\n", True
    return None if opened else kept + text[start:]


# --- rule 2 --------------------------------------------------------------------------------------


def _commitments(text: str) -> tuple[list[_Commitment], bool]:
    """What the text commits itself to, in order, and whether something looked like it but was none."""
    found = [*_tagged(text), *_boxed(text)]
    found += [_Commitment(m.start(), m.end(), 2, m["content"]) for m in HASHES.finditer(text)]
    stated = [*_stated(text), *_reversed(text)]
    outer: list[_Commitment] = []
    for commitment in sorted([*found, *stated], key=lambda c: (c.rank, c.start)):
        if not any(c.start < commitment.end and commitment.start < c.end for c in outer if c.rank < commitment.rank):
            outer.append(commitment)
    kept = [c for c in outer if c.content]
    return sorted(kept, key=lambda c: c.start), len(kept) < len(outer) or NOT_THE_ANSWER.search(text) is not None


def _tagged(text: str) -> Iterator[_Commitment]:
    opened: re.Match[str] | None = None
    for tag in TAG.finditer(text):
        if not tag[1]:
            opened = tag
        elif opened is not None:
            yield _marked(text, opened.start(), tag.end(), 1, text[opened.end() : tag.start()])
            opened = None
    if opened is not None:
        raise _CutText


def _boxed(text: str) -> Iterator[_Commitment]:
    end = 0
    for box in BOX.finditer(text):
        if box.start() < end:
            continue  # inside another
        if not box[0].endswith("{"):
            end = box.end() + 1
            yield _marked(text, box.start(), end, 2, text[box.end() : end])
            continue
        depth, end = 1, box.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0) if text[end - 1] != "\\" else 0
            end += 1
        if depth:
            raise _CutText
        yield _marked(text, box.start(), end, 2, text[box.end() : end - 1])


def _marked(text: str, start: int, end: int, rank: int, content: str) -> _Commitment:
    """A tag or box; without content if what is in it or beside it makes it none."""
    content = content.strip()
    none = (
        PLACEHOLDER.fullmatch(content[:40])
        or NEGATED.match(content)
        or DENIED.search(text[max(0, start - 40) : start])
        or re.match(r"[$*\s]{0,4}is\s+(?:not|wrong|incorrect|false)\b", text[end : end + 40])
    )
    return _Commitment(start, end, rank, "" if none or len(content) > LONGEST_ANSWER else _unframed(content))


def _stated(text: str) -> Iterator[_Commitment]:
    for match in STATED.finditer(text):
        start, end = match.end(), _end_of_statement(text, match.end())
        if not text[start:end].strip(" \t*_$:"):  # the answer stands on lines of its own
            start, end = _block(text, end)
        content = text[start:end].strip()
        none = (
            NEGATED.match(content)
            or REFUTED.search(content)
            or text[end : end + 1] == "?"
            or DOUBT.search(CLAUSE.split(text[max(0, match.start() - 200) : match.start()])[-1])
            or PLACEHOLDER.fullmatch(content[:40])
        )
        if not none and (BOX.search(content) or TAG.search(content)):
            continue  # found by itself, as a more definite form
        rank = 2 if re.search(r"\bfinal\b", match["noun"], flags=re.IGNORECASE) else 4 if match["part"] else 3
        yield _Commitment(match.start(), end, rank, "" if none else _unframed(REASON.sub("", content)))


def _reversed(text: str) -> Iterator[_Commitment]:
    for match in REVERSED.finditer(text):
        content = re.sub(r"^(?:so|therefore|thus|hence)\b,?\s*", "", match["content"].strip(), flags=re.IGNORECASE)
        content = re.sub(r"^(?:the\s+)?(?:option|choice|answer|letter)\s+", "", content, flags=re.IGNORECASE)
        if re.fullmatch(r"(?:that|this|it|which|he|she|.*\b(?:answer|work|solution)\b.*)", content, flags=re.I | re.S):
            continue
        bare = re.fullmatch(r"\W*[A-J]\W*|\W*[A-J]\).*", content) or parse_number(content) is not None
        if not bare:
            continue
        rank = 2 if match["final"] else 3
        yield _Commitment(match.start(), match.end(), rank, "" if DOUBT.search(content) else _unframed(content))


def _end_of_statement(text: str, start: int) -> int:
    longest = min(len(text), start + 2_000)
    end = SENTENCE_END.search(text, start, longest)
    return end.start() if end else longest


def _block(text: str, start: int) -> tuple[int, int]:
    """The next line that is not blank, with the lines after it where they go on in the same way, as a board does."""
    at = end = start
    for line in text[start : start + LONGEST_ANSWER].splitlines(keepends=True):
        prose = re.search(r"[^\W\d_]{3}", line) is not None
        blank = not line.strip() or line.startswith("```")
        if end > at and (blank or prose):
            break
        end += len(line)
        if blank:
            at = end
        elif prose:
            break
    if stop := SENTENCE_END.search(text[at:end].rstrip("\n").replace("\n", " ")):
        end = at + stop.start()
    return at, end


# --- rules 3 to 5 ----------------------------------------------------------------------------------


def _decide(text: str, commitments: list[_Commitment]) -> str | None:
    best = min(c.rank for c in commitments)
    first = next(i for i, c in enumerate(commitments) if c.rank == best)
    told = commitments[first:]  # what stands before the most definite form leads up to it
    last = told[-1]
    others = [c for c in told if not same_answer(c.content, last.content)]
    if others and not CORRECTION.search(text, others[-1].end, told[told.index(others[-1]) + 1].start):
        return None
    tail = text[last.end :]
    if CORRECTION.search(tail) and re.search(r"\w", tail):
        return None
    same = [c for c in told if same_answer(c.content, last.content)]
    return min(same, key=lambda c: (c.rank, -c.start)).content


def same_answer(first: str, second: str) -> bool:
    """Whether two answers say the same: but for spaces, case, signs and units."""
    if _key(first) == _key(second):
        return True
    letters = [re.match(r"\W*([A-Za-z])(?:[).:]|\W*$)", answer) for answer in (first, second)]
    if letters[0] and letters[1]:
        return letters[0][1].upper() == letters[1][1].upper()
    number = parse_number(first)
    return number is not None and number == parse_number(second)


def _key(answer: str) -> str:
    return re.sub(r"[^\w.+/*-]|\.$|\\(?:text|mathrm|textbf)\b", "", answer.casefold())


def _conclusion(text: str) -> str | None:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    sentence = re.split(r"(?<=[.!?])\s+", lines[-1])[-1]
    match = CONCLUSION.match(sentence.strip("*_ "))
    if match and re.search(r"[.!$*}]$", sentence):
        return _unframed(match["content"])
    if len(lines) == 1:
        return None
    letter = LETTER_LINE.fullmatch(lines[-1])
    prose = len(re.findall(r"[^\W\d_]{2,}", lines[-2])) >= 3
    if letter and (letter["word"] or prose or "=" in lines[-2]):
        return letter["letter"]
    if prose and len(re.findall(r"[^\W\d_]+", lines[-1])) <= 2 and parse_number(lines[-1]) is not None:
        return _unframed(lines[-1])
    return None


def _whole(text: str) -> str | None:
    stripped = re.sub(r"^```\w*\n|\n?```$", "", text.strip())
    if len(stripped) > LONGEST_ANSWER or stripped.endswith("?") or TAG.search(stripped):
        return None
    return _unframed(stripped)


def _unframed(content: str) -> str:
    """Without bold type, a box or dollar signs around all of it, and the full stop."""
    before = None
    while before != content and len(content) <= LONGEST_ANSWER:
        before, content = content, content.strip()
        for opening, closing in (("**", "**"), ("__", "__"), ("`", "`"), ("$$", "$$"), (r"\(", r"\)"), (r"\[", r"\]")):
            if content.startswith(opening) and content.endswith(closing) and len(content) >= 2 * len(opening):
                content = content[len(opening) : -len(closing)]
        if len(content) > 2 and content[0] == content[-1] == "$" and "$" not in content[1:-1]:
            content = content[1:-1]
        box = re.fullmatch(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf)\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", content)
        content = box[1] if box else content
        content = re.sub(r"(?<=[^.])\.$", "", content)
    if content.count("**") % 2:  # one half of bold type
        content = re.sub(r"\*\*(?=\s|$)|(?<!\S)\*\*", "", content).strip()
    return content
