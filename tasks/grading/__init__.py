"""Graders: finding the final answer in a response and comparing it with the right one."""

from .extraction import MAX_ANSWER_CHARS, extract_answer, last_boxed, last_hashed
from .numeric import last_number, normalise_number, same_number

__all__ = [
    "MAX_ANSWER_CHARS",
    "extract_answer",
    "last_boxed",
    "last_hashed",
    "last_number",
    "normalise_number",
    "same_number",
]
