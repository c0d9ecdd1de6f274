"""Records of runs, and what they say: statistics, tables and figures. Imports nothing heavy by itself."""
