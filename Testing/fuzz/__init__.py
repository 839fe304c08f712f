"""Hostile input: whole files of every kind that is read, mutated and read in limited processes."""
