"""Judging what models wrote: local judges, whose answers are compared, and `groupbench judge` and `winrates`."""
