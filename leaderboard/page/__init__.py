"""The leaderboard as files for a browser: self-contained, no network, and nothing in them but what was recorded."""
