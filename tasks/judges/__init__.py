"""Judges of answers to open questions: which of two is better."""
