"""The line that a plug-in's author can mend."""

from __future__ import annotations

import statistics

import torch

from algorithms import ops
from algorithms.places import place


def raised(function):
    try:
        function()
    except Exception as error:
        return place(error).replace(__file__, "FILE")
    raise AssertionError("it raised nothing")


def test_the_last_line_that_is_neither_ours_nor_a_librarys():
    def own():
        def deeper():
            raise KeyError("x")

        deeper()

    first = own.__code__.co_firstlineno
    assert raised(own) == f" (FILE, line {first + 2})"
    for function in (  # in a library, in torch, in ours: called from here
        lambda: statistics.fmean([]), lambda: torch.zeros(2) @ torch.zeros(3), lambda: ops.aggregate(None, None, "x"),
    ):  # fmt: skip
        assert raised(function) == f" (FILE, line {function.__code__.co_firstlineno})"


def test_ours_alone_have_none():
    error = ValueError("never raised")
    assert place(error) == ""
    try:
        eval("1 / 0")
    except ZeroDivisionError as caught:
        assert "<string>" not in place(caught) and place(caught)
