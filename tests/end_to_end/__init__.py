"""Real processes, whole stories. A package, so that what its tests share ends with them."""
