"""Judges of answers to open questions: which of two is better.

asking       compare(judge, pairs, cache): both orders, one more question, budget;  results: what comes of it
parsing      what a reply says, by policy;  prompts: ours, and how others' are read;  texts: cleaning and flags
cache        replies by content;  prices: what tokens cost;  registry: judges by name
endpoint, engine, reward_model, replay, mock    the judges;  attempts: retries;  recorded: other people's files
"""
