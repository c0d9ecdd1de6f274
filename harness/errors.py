"""What a user can mend. The command line prints such an error as one paragraph and exits with 2; no traceback."""


class UserError(Exception):
    """The message names the file or key, what was found there, and what is allowed."""
