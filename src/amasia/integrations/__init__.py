"""Thin ways in from other tools."""
