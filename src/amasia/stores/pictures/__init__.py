"""Pictures of arrays: numbers in, a self-contained SVG out. The same text for notebooks, the console and the docs."""
