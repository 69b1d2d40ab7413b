"""``amasia key``."""

from time import monotonic, sleep
from typing import Annotated

import typer

from amasia.cli.options import Json, examples, noun
from amasia.cli.output import clock, say, show_fields, show_json
from amasia.client import keys
from amasia.errors import TimedOut, Unavailable
from amasia.models.keys import Keys

app = noun("The key that this control plane's secrets are sealed with; for operators.")


@app.command(epilog=examples("amasia key show", "amasia key show --json"))
def show(as_json: Json = False) -> None:
    """Which key is the newest, what keeps its master key, and whether everything is sealed with it."""
    _print(keys.get(), as_json)


@app.command(epilog=examples("amasia key rotate", "amasia key rotate --timeout 3600 --json"))
def rotate(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for its end; it goes on by itself.")] = 600,
    as_json: Json = False,
) -> None:
    """Seal everything anew with a new key, and forget the old one; while all goes on as it does."""
    found, end = keys.rotate(), monotonic() + timeout
    while not found.turned and monotonic() < end:
        sleep(0.2)
        found = keys.get()
        if found.reason:
            raise Unavailable(f"The key is not rotated yet: {found.reason}", cure="It is tried again: amasia key show")
    if not found.turned:
        raise TimedOut(f"Not everything is sealed with key {found.number} yet.", cure="It goes on: amasia key show")
    _print(found, as_json)
    if found.master == "environment" and not as_json:
        say("AMASIA_KEYS may lose all but its first key now, at the next start.")


def _print(found: Keys, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    state = "everything is sealed with it" if found.turned else f"{found.older} older ones are still in use"
    fields = {"key": f"{found.number}, {state}", "since": clock(found.made_at), "master key": found.master}
    if found.reason:
        fields["waits"] = found.reason
    show_fields(dict(fields))
