"""Simulated heads: tissues, anatomy, sequences and a scanner, seeded and without a network."""
