"""The fault matrix: what can go wrong around a run, what then holds, and the tests that try it."""
