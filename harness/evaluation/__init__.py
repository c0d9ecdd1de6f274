"""Asking a model the examples of a task: looks at a policy in training, and the evaluation of a checkpoint."""
