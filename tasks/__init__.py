"""Tasks: examples with prompts, graders and demonstrations. Nothing here loads a model or imports a heavy package.

Datasets are read on first use; parquet and Hub readers are imported only then.
"""

from .base import EvalProtocol, Example, Grade, Message, Source, Task, TaskDataError, TaskError
from .registry import load, register

__all__ = ["EvalProtocol", "Example", "Grade", "Message", "Source", "Task", "TaskDataError", "TaskError"]
__all__ += ["load", "register"]
