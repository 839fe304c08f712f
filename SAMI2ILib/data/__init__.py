"""Subjects on disk, registration, brain mask, simulation: what training and measuring read."""
