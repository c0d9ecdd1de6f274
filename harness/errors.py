"""What a user can mend. The command line prints such an error as one paragraph and exits with 2; no traceback."""


class UserError(Exception):
    """The message names the file or key, what was found there, and what is allowed."""


class ModelError(UserError):
    """A model that cannot be had or used; the message names it and what is missing."""


def first_line(error: object) -> str:
    """Of an error's text, or the name of its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
