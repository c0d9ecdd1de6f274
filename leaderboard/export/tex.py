"""Text for LaTeX, in ASCII: every special character escaped, and what has no name spelled out rather than lost."""

from __future__ import annotations

import re
import unicodedata

from ..words import one_line

ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
    "|": r"\textbar{}", **{c: f"\\{c}" for c in "&%$#_{}"}, '"': "''", "`": "{`}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # at the start of a row they would be arguments of the \\ before it
    "±": r"$\pm$", "−": r"$-$", "–": "--", "—": "---", "→": r"$\rightarrow$", "←": r"$\leftarrow$", "×": r"$\times$",
    "·": r"$\cdot$", "∞": r"$\infty$", "≥": r"$\geq$", "≤": r"$\leq$", "≠": r"$\neq$", "≈": r"$\approx$",
    "…": r"\ldots{}", "†": r"$\dagger$", "‡": r"$\ddagger$", "‘": "`", "’": "'", "“": "``", "”": "''",
    "•": r"$\bullet$",
    "°": r"$^{\circ}$", "µ": r"$\mu$", "⁄": "/", "ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}",
    "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "\u00a0": "~", "\u202f": "~",
}  # fmt: skip
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u0304\u0307\u0306\u030c\u030b", "`'^~\"=.uvH", strict=True)) | {
    "\u0327": "c", "\u030a": "r",
}  # fmt: skip
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda "
    "mu nu xi pi rho sigma tau upsilon phi chi psi omega"
)
CAPITALS = "Gamma, Delta, Theta, Lambda, Xi, Pi, Sigma, Upsilon, Phi, Psi, Omega"  # LaTeX has no others: they are Latin
LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))
LETTERS = {unicodedata.lookup(f"GREEK SMALL LETTER {name.replace('lambda', 'lamda')}"): name for name in GREEK.split()}
SYMBOLS = {letter: f"$\\{name}$" for letter, name in (LETTERS | {"ς": "varsigma"}).items()} | {
    letter.upper(): f"$\\{name.capitalize()}$" for letter, name in LETTERS.items() if name.capitalize() in CAPITALS
}


def escape(text: str) -> str:
    """A line of text."""
    text = re.sub(r"-(?=-)", "-\u2060", one_line(text))  # two hyphens are two, and no dash
    return "".join(map(_character, unicodedata.normalize("NFC", text)))


def _character(c: str) -> str:
    if c == "\u2060":
        return "{}"
    known = ESCAPES.get(c) or SYMBOLS.get(c) or LATIN.get(c) or (c if c.isascii() else "")
    if known:
        return known
    kind, *parts = unicodedata.decomposition(c).split() or [""]
    if kind.startswith("<"):
        inner = "".join(_character(chr(int(part, 16))) for part in parts)
        script = {"<super>": "^", "<sub>": "_"}.get(kind)
        return f"${script}{{\\mathrm{{{inner}}}}}$" if script and inner.isalnum() else inner
    letters = unicodedata.normalize("NFD", c)
    if len(letters) == 2 and letters[0].isascii() and letters[1] in ACCENTS:
        letter = {"i": r"\i", "j": r"\j"}.get(letters[0], letters[0])
        return f"\\{ACCENTS[letters[1]]}{{{letter}}}"
    return f"{{[}}U+{ord(c):04X}{{]}}"
