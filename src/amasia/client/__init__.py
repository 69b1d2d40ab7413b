"""What users import: `Cluster`, `open_repo`, … Its modules are named for their nouns."""
