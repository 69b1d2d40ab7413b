"""The main job on real data, told as a story: ``make demo``."""
