"""Rewards for tasks that no verifier can grade: what a response is worth, as a reward model or a function says."""
