"""What is said to people, on one console; libraries that would talk over it are kept quiet."""

from __future__ import annotations

import os
import sys

from rich.console import Console

# A file or a pipe has no width of its own; whoever sets COLUMNS wants that.
console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)


def say(text: str) -> None:
    """Plain text: no markup, no colours guessed from what stands in it, no wrapping of paths."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def quiet_libraries() -> None:
    """Progress bars and advice of the libraries would tear the live table."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
