"""Capture a live Python environment, lock it, build it again elsewhere with uv. Works with no control plane."""
