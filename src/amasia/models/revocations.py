"""What was lent to somebody and is taken back before its end."""

from datetime import datetime, timedelta

from amasia.models.base import Model, Name, Time

LONGEST = timedelta(hours=1, minutes=10)
"""After this nothing that was lent before is good any more: nothing is lent for more than an hour."""


class Revocation(Model):
    """Somebody lost a workspace; the store refuses what it lent them under this name."""

    id: str
    workspace: Name
    user: Name
    session: str
    at: Time

    def over(self, at: datetime) -> bool:
        """Whether all that was lent under that name has ended by itself."""
        return at - self.at > LONGEST
