"""The keys that everything sealed in the database is sealed with, as its operators see them: never themselves."""

from amasia.models.base import Model, Time


class Keys(Model):
    """How far the newest key has come."""

    number: int
    """Of the newest: what is sealed from now on begins with it."""
    made_at: Time
    """Or wished for at, while it is not made."""
    master: str
    """What keeps the master key that wraps it: ``file``, ``environment``, or the name of a KMS."""
    older: int = 0
    """Keys that something is still sealed with; 0 when all is sealed with the newest."""
    reason: str = ""
    """Why it is not made, or goes no further; it is tried again."""

    @property
    def turned(self) -> bool:
        """Whether everything is sealed with the newest."""
        return not self.older and not self.reason
