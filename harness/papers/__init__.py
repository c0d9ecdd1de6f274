"""`groupbench reproduce`: a paper's studies as recipes, what they cost, and its tables beside the published ones."""
