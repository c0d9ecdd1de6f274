"""Pairs of answers of which people, or a judge, prefer one: what a reward model is fitted to, and measured on."""

from .base import Pairs, PairSource, PreferencePair, identified, prompt_key
from .loading import SETS, load_pairs

__all__ = ["SETS", "PairSource", "Pairs", "PreferencePair", "identified", "load_pairs", "prompt_key"]
