"""The verbs, and the only writers. They touch only the database; every write and its event are one transaction."""
