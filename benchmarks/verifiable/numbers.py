"""The one number that an answer states, exactly: ``18``, ``$18.00``, ``1,800 miles per hour``, ``\\frac{36}{2}``.

Strict: an answer that holds a second number, a negation, an alternative or a bound has no number. math-verify's
``parse`` is not used: it takes one hit of many (``18 or 20`` is 20 to it, ``not 18`` and ``at least 18`` are 18), and
its time-outs need SIGALRM, which works in no thread but the main one. Units are not converted, and a percent sign is
a unit: the questions ask for "what percent".
"""

from __future__ import annotations

import re
from fractions import Fraction

from benchmarks.verifiable.expressions import evaluate

LONGEST = 200  # characters; a longer text is no answer but a story
MOST_WORDS = 14

ONES = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
TENS = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
SMALL = {word: value for value, word in enumerate(ONES)} | {word: 10 * i for i, word in enumerate(TENS, start=2)}
TIMES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
LETTERS = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9}  # $18k; a small m is metres, a small b nothing

# Words that turn the number beside them into another one, or into none.
BLOCKED = re.compile(
    r"\b(?:not|no|never|neither|nor|cannot|\w+n['\u2019]t|wrong|incorrect|or|either|maybe|perhaps|possibly|if|unless"
    r"|except|between|plus|minus|negative|times|divided|multiplied|squared|cubed|factorial|half|halves|quarter|point"
    r"|(?:third|fourth|fifth|sixth|eighth|tenth|hundredth|thousandth)s?|twice|double|triple|thrice|pi|infinit[ey]"
    r"|unknown|undefined|score|sqrt|root|log|ln|sin|cos|tan|mod|(?:dozen|hundred|thousand|million)s)\b"
)
BLOCKED_BEFORE = re.compile(r"\b(?:than|least|most|over|under|below|above|nearly|almost|beyond|until|to|from)\b")
SIGNS = re.compile(r"[+*^=<>\u221a\u03c0\u221e?\\{}|\u00d7\u00f7\u00b1_@&\u00b7]")

VULGAR = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅕": "1/5", "⅛": "1/8"}
PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|(?<![A-Za-z])\.[0-9]+)"
NUMBER = re.compile(
    rf"(?P<sign>(?:(?<!\S)[-+]|(?<=\()[-+]|^\s*[-+])\s*)?"
    rf"(?:(?P<whole>\d+)\s+(?P<over>\d+)/(?P<under>\d+)"
    rf"|(?P<number>{PLAIN})(?:\s*/\s*(?P<below>{PLAIN})"
    rf"|[eE](?P<e>[-+]?\d{{1,2}})(?![\d.])|\s*[\u00d7x*\u00b7]\s*10\^\{{?(?P<power>-?\d{{1,2}})\}}?)?)"
)
SCALE = re.compile(rf"\s*({'|'.join(TIMES)})\b", flags=re.IGNORECASE)
OPERATORS = str.maketrans("\u00d7\u00b7\u00f7\u2212", "**/-")


def parse_number(text: str) -> Fraction | None:
    """The one number of an answer, or ``None`` where it states none, or more than one.

    ``2 1/2``, ``1.8 million``, ``1.5e3``, ``eighteen``, ``x = 18`` and a true equation (``9*2 = 18``) are numbers;
    ``18 20``, ``18 or 20``, ``18-20``, ``3:30``, ``not 18``, ``18x``, ``18 and a half`` and ``1 hour 5 min`` are not.
    """
    if len(text) > LONGEST or any(char.isdecimal() and not char.isascii() for char in text):
        return None
    plain = _plain(text)
    if "=" not in plain:
        return _phrase(plain)
    *sides, last = plain.split("=")
    value = _phrase(last)
    return value if value is not None and all(_is_name_or(side, value) for side in sides) else None


def canonical(value: Fraction) -> str:
    """The number as text: ``18``, ``0.5``, ``-2.25``, and ``1/3`` where no decimal number ends."""
    under, fives = value.denominator, 0
    twos = (under & -under).bit_length() - 1
    under >>= twos
    while under % 5 == 0:
        under, fives = under // 5, fives + 1
    if under != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = f"{abs(value.numerator) * 10**places // value.denominator:0{places + 1}d}"
    whole, part = digits[: len(digits) - places], digits[len(digits) - places :]
    return ("-" if value < 0 else "") + (f"{whole}.{part}" if part else whole)


# --- from what people and LaTeX write to plain characters -----------------------------------------

LATEX = (
    (re.compile(r"\\(?:boxed|fbox)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}"), r" \1"),  # cm}^2
    (re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r" \1/\2 "),
    (re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)"), r" \1/\2 "),
)
COMMANDS = {r"\times": "\u00d7", r"\cdot": "\u00b7", r"\div": "\u00f7", r"\approx": "\u2248"}
SPACES = re.compile(r"\\(?:left|right|displaystyle|quad|[;: \[\]()])|\\\\|~|[\u200b\u200e\ufeff]")
THOUSANDS = re.compile(r"(?<=\d)(?:\\,|\\!|\{,\}|,\\!|[\u202f\u2009\u00a0])(?=\d{3}(?!\d))")


def _plain(text: str) -> str:
    text = THOUSANDS.sub(",", text.strip())
    text = SPACES.sub(" ", text.replace(r"\,", " ").replace(r"\!", "").replace(r"\$", "$").replace(r"\%", "%"))
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?|°", " degrees ", text)
    for command, sign in COMMANDS.items():
        text = text.replace(command, sign)
    for _ in range(3):  # \boxed{\text{18}}
        for pattern, form in LATEX:
            text = pattern.sub(form, text)
    for sign, fraction in VULGAR.items():
        text = text.replace(sign, f" {fraction} ")
    text = re.sub(r"[\u2212\u2013]", "-", re.sub(r"\*\*|__|[`\"“”]", "", text))  # minus sign and dash
    text = re.sub(r"[$€£¥₹]", " ", re.sub(r"(?<=[-+])\s*[$€£¥₹]", "", text))
    text = text.strip().lstrip("#*≈").rstrip("*").strip()
    for opening, closing in ("()", "[]", "{}"):
        if text.startswith(opening) and text.endswith(closing) and text.count(opening) == 1:
            text = text[1:-1].strip()
    return text


# --- one number and the words around it ------------------------------------------------------------


def _phrase(text: str) -> Fraction | None:
    text = text.strip()
    match = NUMBER.search(text)
    if match is None:
        runs = [] if "quarters" in text.lower() else _word_numbers(text)  # 3 quarters are coins, three may be 3/4
        return runs[0] if len(runs) == 1 and _harmless(text, "", runs[0]) else None
    before, after = text[: match.start()], text[match.end() :]
    value = _value(match)
    before = re.sub(r"\bRs\.?\s*$", " ", before, flags=re.IGNORECASE)  # rupees
    if value is None or re.search(r"[\w.,:/^-]$|[A-Za-z]\($|-\s*\($", before):
        return None
    if sign := re.search(r"\b(?:minus|negative)\s*$", before, flags=re.IGNORECASE):
        before, value = before[: sign.start()], -value
    letter = re.match(r"([kKMB])(?![A-Za-z])", after)
    if letter:
        value, after = value * LETTERS[letter[1]], after[letter.end() :]
    while scale := SCALE.match(after):
        value, after = value * TIMES[scale[1].lower()], after[scale.end() :]
    if re.match(r"\s*[xyznXYZN](?![A-Za-z])|/\s*$|/\s*[xyzn](?![a-z])", after):
        return None  # 18x is no number
    after = re.sub(r"(?<=[A-Za-z])(?:\^\{?[23]\}?|[²³])|\b([ckmd]?m|ft|in)[23]\b", r"\1", after)  # cm^2
    return value if _harmless(before, after, value) else None


def _value(match: re.Match[str]) -> Fraction | None:
    try:
        if match["whole"]:
            value = int(match["whole"]) + Fraction(int(match["over"]), int(match["under"]))
        else:
            value = Fraction(match["number"].replace(",", ""))
            if match["below"]:
                value /= Fraction(match["below"].replace(",", ""))
            value *= Fraction(10) ** int(match["e"] or match["power"] or 0)
    except ZeroDivisionError:
        return None
    return -value if (match["sign"] or "").strip() == "-" else value


def _harmless(before: str, after: str, value: Fraction) -> bool:
    """Whether what stands around a number leaves it as it is."""
    around = f"{before} {after}"
    if any(char.isnumeric() for char in around) or SIGNS.search(around):
        return False
    if any(number != value for number in _word_numbers(around)):
        return False
    if len(_words(around)) > MOST_WORDS or BLOCKED_BEFORE.search(before.lower()):
        return False
    return BLOCKED.search(around.lower()) is None


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def _word_numbers(text: str) -> list[Fraction]:
    """The numbers that are written in words, ``one hundred and five`` as one."""
    found: list[Fraction] = []
    total = current = 0
    inside = False

    def close() -> None:
        nonlocal total, current, inside
        if inside:
            found.append(Fraction(total + current))
        total, current, inside = 0, 0, False

    last = -1  # the value of the word before, to part "two three" and to join "twenty one"
    words = _words(text)
    for at, word in enumerate(words):
        if word in SMALL:
            value = SMALL[word]
            joins = inside and (last in (100, 10**3, 10**6, 10**9) or (20 <= last < 100 and 0 < value < 10))
            if not joins:
                close()
            current, inside, last = current + value, True, value
        elif word in TIMES and inside:
            scale = TIMES[word]
            if scale == 100:
                current *= 100
            else:
                total, current = total + current * scale, 0
            last = scale
        elif not (word == "and" and inside and last >= 100 and at + 1 < len(words) and words[at + 1] in SMALL):
            close()
            last = -1
    close()
    return found


def _is_name_or(side: str, value: Fraction) -> bool:
    """Whether a left side is a name (``x``, ``total cost``), or arithmetic that gives the value, words before it."""
    side = side.strip()
    if not any(char.isnumeric() for char in side):
        return len(side) <= 60 and not SIGNS.search(side) and BLOCKED.search(side.lower()) is None
    start = re.search(r"[-+(.]*\s*\d", side)
    if start is None or BLOCKED.search(side[: start.start()].lower()):
        return False
    arithmetic = re.sub(r"(?<=\d)\s*[xX]\s*(?=\d)", "*", side[start.start() :]).translate(OPERATORS)
    try:
        return evaluate(re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", arithmetic)) == value
    except ValueError:
        return False
