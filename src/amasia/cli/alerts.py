"""What a command says at its end of budgets that fill up."""

from contextlib import suppress

from amasia.cli.output import say
from amasia.client import alerts
from amasia.errors import AmasiaError


def tell() -> None:
    """Silence where the control plane does not answer: the command itself has said that, or does not need it."""
    with suppress(AmasiaError):
        for one in alerts.take():
            say(f"note: {one.text}")
