r"""The process in which math-verify runs, started as a script by `pool`: answers questions on stdin, one JSON a line.

Two processes share the pipes. The outer one imports math-verify once and forks; its child answers. The kernel ends a
child that has used up its processor time or its memory (no Python code need run for that, so neither a power of a
power nor a parser that never returns can outlast it), the outer process reports the death as the answer to the question
in flight, and forks the next child in milliseconds. When stdin ends, which is when the harness dies, both end.

A question is `{"gold", "answer", "anywhere", "seconds"}`: is `answer`, the content of a box, the same as `gold`? Or
with `anywhere`: is the answer that math-verify finds in that text? It may take so many seconds of processor time. The
reply is `{"strict", "lenient", "found"}`, or `{"died": why}`. The first line of all is `{"ready": true}` or
`{"error": message}`.

No answer can run code. math-verify 0.9.0 and latex2sympy2_extended 1.11.0 pass text to `eval` at one place, sympy's
`parse_expr`, and only text of digits, operators and brackets (`lazy_expr_regex`). That is enforced here for every call
of `parse_expr`, those of `sympify` among them. Behind it, the child refuses by an audit hook whatever a comparison has
no business with: other evaluated code, files, processes, sockets, foreign modules. A refusal ends the child, so that
it is seen and not swallowed.
"""

from __future__ import annotations

import functools
import gc
import json
import logging
import os
import re
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

QUESTIONS_A_CHILD = 2000  # then a fresh one: sympy's caches grow
RECYCLED, OUT_OF_MEMORY, FORBIDDEN = 3, 4, 5  # exit codes of a child
_DEATHS = {OUT_OF_MEMORY: "memory", FORBIDDEN: "forbidden"}

# What math-verify evaluates (^ is ** by then); and what sympy does for itself: a name, a number, and what mpmath's
# `identify` takes a number for.
_HARMLESS_TEXT = re.compile(r"(?:[0-9.\s+\-*/()×÷]|sqrt\(|log\(|exp\()*|[A-Za-z][A-Za-z0-9]*|[0-9.]+e-?[0-9]{1,3}")
_libraries: tuple[str, ...] = (
    os.path.dirname(os.__file__) + os.sep,
)  # where code may come from; _load adds sympy's folder
_MODULES = frozenset({"sympy", "mpmath", "math_verify", "latex2sympy2_extended", "antlr4"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_HARMLESS_EVENTS = frozenset(
    {"builtins.id", "sys._getframe", "object.__getattr__", "marshal.loads", "os.listdir", "array.__new__"}
)

# `\frac12` and `\sqrt3` are LaTeX: a command takes the next digit. math-verify reads them only under its loosest rules.
_BARE_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:([0-9])|\{([^{}]*)\})\s*(?:([0-9])|\{([^{}]*)\})")
_BARE_ROOT = re.compile(r"\\sqrt\s*([0-9])")
_ROOT_SIGN = re.compile(r"√\s*(?:([0-9]+|[A-Za-z])|\(([^()]*)\)|(?=\{))")
_COLOUR = re.compile(r"\\(?:text)?color\s*\{[^{}]*\}")


def main() -> None:
    """Fork children that answer questions, until stdin ends. The argument: bytes of address space."""
    address_space = int(sys.argv[1])
    replies = os.dup(1)
    with open(os.devnull, "r+b") as null:  # nothing that a library prints may get between the replies
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)
    try:
        compare = _load()
    except BaseException as error:
        _send(replies, {"error": f"{type(error).__name__}: {error}"})
        return
    _send(replies, {"ready": True})
    gc.freeze()
    while True:
        child = os.fork()
        if child == 0:
            try:
                _serve(compare, replies, address_space)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            return
        if status != RECYCLED:
            why = "time" if status in (-signal.SIGPROF, -signal.SIGXCPU) else _DEATHS.get(status, f"status {status}")
            _send(replies, {"died": why})


def _send(replies: int, message: dict[str, Any]) -> None:
    os.write(replies, json.dumps(message).encode() + b"\n")


def _serve(compare: Callable[..., dict[str, Any]], replies: int, address_space: int) -> None:
    """Answer questions; leaves only by `os._exit`."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    for limit, value in (("AS", address_space), ("FSIZE", 0), ("CORE", 0), ("NPROC", 0)):
        _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{limit}"))
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{limit}"), (value, value))
        except (ValueError, OSError):  # macOS has no limit of address space
            continue
    questions = os.fdopen(0, "rb", closefd=False)
    sys.addaudithook(_refuse)
    for _ in range(QUESTIONS_A_CHILD):
        line = questions.readline()
        if not line:
            os._exit(0)
        question = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, question.pop("seconds"))
        try:
            reply = compare(**question)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        signal.setitimer(signal.ITIMER_PROF, 0)
        # math-verify takes a MemoryError for "not equal". Who came near the limit may have met it.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if peak > address_space // 4:
            os._exit(OUT_OF_MEMORY)
        _send(replies, reply)
    os._exit(RECYCLED)


# --------------------------------------------------------------------------------------------------- the comparison


def _load() -> Callable[..., dict[str, Any]]:
    """Import math-verify, guard its way to `eval`, warm it up; returns the comparison."""
    import latex2sympy2_extended.latex2sympy2 as latex
    import math_verify
    import math_verify.parser as parser
    import sympy.parsing
    import sympy.parsing.sympy_parser as sympy_parser
    import sympy.physics.units  # sympy's `simplify` looks for units
    from sympy.polys.monomials import MonomialOps

    global _libraries
    _libraries = (
        *_libraries,
        os.path.dirname(os.path.dirname(sympy.__file__)) + os.sep,
    )
    logging.disable()
    parse_expr = _harmless_only(_evaluating(sympy_parser.parse_expr))
    for module in (sympy_parser, sympy.parsing, parser, latex):
        module.parse_expr = parse_expr
    MonomialOps._build = _evaluating(MonomialOps._build)  # code made of nothing but a number of variables

    loose = math_verify.LatexExtractionConfig(boxed_match_priority=0)
    # The normalisation that math-verify recommends for rewards: nothing malformed is repaired.
    normalisation = latex.NormalizationConfig(
        basic_latex=True, units=True, malformed_operators=False, nits=False, boxed="all", equations=False
    )
    tight = math_verify.LatexExtractionConfig(boxed_match_priority=0, normalization_config=normalisation)
    parse = functools.partial(math_verify.parse, parsing_timeout=None)
    verify = functools.partial(math_verify.verify, timeout_seconds=None)

    @functools.lru_cache(maxsize=64)  # the responses of a group have one right answer
    def parse_gold(gold: str) -> list[Any]:
        return parse(f"\\boxed{{{_braced(gold)}}}", [loose])

    def compare(gold: str, answer: str, anywhere: bool) -> dict[str, Any]:
        right = parse_gold(gold)
        if anywhere:
            found = parse(answer)
            text = next((part for part in found if isinstance(part, str)), None)
            return {"strict": False, "lenient": verify(right, found), "found": text}
        box = f"\\boxed{{{_braced(answer)}}}"
        read = parse(box, [tight])
        if verify(right, read):
            return {"strict": True, "lenient": True, "found": answer}
        # What both readings take for the same is compared once: sympy simplifies at length to find a difference.
        loosely = parse(box, [loose])
        return {"strict": False, "lenient": loosely != read and verify(right, loosely), "found": answer}

    for gold, answer in ((r"\frac{1}{2}", "0.5"), ("x=1", r"x \ge 1"), (r"\{1,2\}", "[1,2)"), ("(x+1)^2", "x^2+2x+1")):
        compare(gold, answer, False)
    compare("3", "The answer is 1+2.", True)
    return compare


def _braced(text: str) -> str:
    text = _COLOUR.sub("", text).removesuffix("\\ ")
    text = _ROOT_SIGN.sub(lambda m: f"\\sqrt{{{m[1] or m[2]}}}" if m[1] or m[2] else "\\sqrt", text)
    text = _BARE_FRACTION.sub(lambda m: f"\\frac{{{m[1] or m[2] or ''}}}{{{m[3] or m[4] or ''}}}", text)
    return _BARE_ROOT.sub(r"\\sqrt{\1}", text)


# -------------------------------------------------------------------------------------------------------- the guard

_evaluations = 0  # that are under way and known to be of harmless text


def _evaluating(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, allowed to compile and run code."""

    def allowed(*args: Any, **kwargs: Any) -> Any:
        global _evaluations
        _evaluations += 1
        try:
            return function(*args, **kwargs)
        finally:
            _evaluations -= 1

    return allowed


def _harmless_only(parse_expr: Callable[..., Any]) -> Callable[..., Any]:
    """`parse_expr`, which hands its text to `eval`, for harmless text only; other text ends the process."""

    def guarded(text: str, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(text, str) or not _HARMLESS_TEXT.fullmatch(text):
            os._exit(FORBIDDEN)
        return parse_expr(text, *args, **kwargs)

    return guarded


def _refuse(event: str, details: tuple[Any, ...]) -> None:
    """The audit hook (https://docs.python.org/3/library/audit_events.html): ends the process on what is not allowed.

    Modules of the mathematics may be imported; other modules are absent (sympy tries for optional ones).
    """
    if event in _HARMLESS_EVENTS or (_evaluations and event in ("compile", "exec")):
        return
    if event == "import":
        if str(details[0]).partition(".")[0] not in _MODULES:
            raise ImportError(f"{details[0]} is not for answers")
        return
    if event == "open":  # "<unknown>" is where the interpreter looks for the line of a syntax error
        path = details[0]
        allowed = isinstance(path, str) and path.startswith((*_libraries, "<")) and not details[2] & _WRITING
    elif event == "exec":
        allowed = getattr(details[0], "co_filename", "").startswith(_libraries)
    else:
        allowed = event == "compile" and isinstance(details[1], str) and details[1].startswith(_libraries)
    if not allowed:
        os._exit(FORBIDDEN)


if __name__ == "__main__":
    main()
