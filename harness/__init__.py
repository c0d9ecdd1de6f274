"""The upper floor: recipes, training loop, rollouts, command line. The only package that knows the others."""
