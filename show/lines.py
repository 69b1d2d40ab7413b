"""A line of the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One promise: what was looked at, what came out, what was promised."""

    number: int
    what: str
    figure: str
    goal: str
    holds: bool
    detail: str = ""
    """What is wrong, where it falls short; else what else is worth to know."""
