"""Versioned repositories (Icechunk) on object storage. A library: it never asks the control plane."""
