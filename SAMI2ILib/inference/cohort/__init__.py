"""Many volumes with one model: which, which of them here, what became of each."""
