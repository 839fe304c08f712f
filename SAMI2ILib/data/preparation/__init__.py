"""From anyone's scans to a dataset folder: find them, check, register, normalize, split."""
