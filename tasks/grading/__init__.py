"""Graders: finding the final answer in a response and comparing it with the right one. docs/grading.md is the protocol.

math-verify is imported by worker processes only: importing this package costs nothing.
"""

from .choice import judge_choice
from .extraction import MAX_ANSWER_CHARS, extract_answer, last_boxed, last_hashed
from .numeric import last_number, normalise_number, same_number
from .pool import VerifierError
from .verify import VERIFIER, Verdict, judge, require_verifier, same

__all__ = [
    "MAX_ANSWER_CHARS",
    "VERIFIER",
    "Verdict",
    "VerifierError",
    "extract_answer",
    "judge",
    "judge_choice",
    "last_boxed",
    "last_hashed",
    "last_number",
    "normalise_number",
    "require_verifier",
    "same",
    "same_number",
]
