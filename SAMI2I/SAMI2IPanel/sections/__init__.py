"""The parts of the panel: each owns some of its widgets and knows nothing of the others."""
