"""What somebody is told of a budget, once."""

from amasia.models.base import Model, Name, Time

MARKS = (50, 80, 95)
"""Per cent of a budget's period, spent or promised, at which its owner and the spender are told."""
USED_UP = 100
"""Something was refused for the lack of it."""


def mark(used: int, room: int) -> int:
    """The highest mark that is reached; 0 for none."""
    return max((one for one in MARKS if room and used * 100 >= one * room), default=0)


class Alert(Model):
    id: int
    workspace: Name
    budget: Name
    percent: int
    """50, 80 or 95 of its limit are spent or promised; 100 where something was refused for the lack of it."""
    text: str
    user: Name
    """Who is told."""
    at: Time
