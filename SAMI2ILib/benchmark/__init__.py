"""Measures speed, memory and agreement of all ways to run a model, side by side in one run."""
