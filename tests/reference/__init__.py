"""Slow references, from the definitions alone."""
