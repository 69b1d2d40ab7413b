"""Loops that compare what is with what should be. Only `machines` calls providers; each round may be repeated."""
