"""Reward models on this machine: asked in training and as judges, and trained on pairs of answers."""
