"""Runs that others hand in: packed for a pull request, verified from their items, joined to a table or shown apart."""
