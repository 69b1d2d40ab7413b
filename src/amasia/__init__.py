"""Amasia."""
