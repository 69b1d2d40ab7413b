"""What is in a repository, from its metadata, its coordinates and coarse reads; never from all of its values."""
