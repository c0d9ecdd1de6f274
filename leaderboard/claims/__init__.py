"""The papers' claims as checks over records."""
