"""SIGTERM and Ctrl-C as a request: finish the step, save, and leave; after GRACE_SECONDS leave the step unfinished."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 20.0  # schedulers send SIGKILL 30 s after SIGTERM


class Stopped(BaseException):
    """The run was asked to end. Not an Exception: a plug-in's `except Exception` must not swallow it."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class Stop:
    """Whether an end was asked for; `check()` raises Stopped at a place where all is consistent."""

    def __init__(self, grace_seconds: float = GRACE_SECONDS) -> None:
        self.grace_seconds = grace_seconds
        self.number: int | None = None
        self._deadline = float("inf")
        self._timer: threading.Timer | None = None
        self._raised = False  # once: what follows is the saving, and no signal may cut it short

    def check(self) -> None:
        """Raise Stopped if an end was asked for."""
        if self.number is not None:
            self._raise()

    def handle(self, number: int, _: FrameType | None) -> None:
        """The signal handler: the first signal asks; the deadline's, or a second Ctrl-C, ends the step where it is."""
        if self._raised:
            return
        if self.number is None:
            self.number, self._deadline = number, time.monotonic() + self.grace_seconds
            main = threading.main_thread().ident
            assert main is not None
            self._timer = threading.Timer(self.grace_seconds, signal.pthread_kill, (main, number))
            self._timer.daemon = True
            self._timer.start()
            if number == signal.SIGINT:  # a person waits for an answer; print() is not safe in a handler
                os.write(2, b"\ngroupbench: finishing the step, then saving; Ctrl-C again leaves the step unfinished\n")
        elif time.monotonic() >= self._deadline - 1 or number == signal.SIGINT:
            self._raise()

    def _raise(self) -> None:
        self._raised = True
        self.end()
        assert self.number is not None
        raise Stopped(self.number)

    def end(self) -> None:
        """No deadline any more."""
        if self._timer is not None:
            self._timer.cancel()


@contextmanager
def on_signals(
    grace_seconds: float = GRACE_SECONDS, numbers: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
) -> Iterator[Stop]:
    """A `Stop` that these signals set; outside the main thread none can be caught, and none is."""
    stop = Stop(grace_seconds)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        stop.end()
        for number, handler in before.items():
            signal.signal(number, handler)
