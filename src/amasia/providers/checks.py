"""What checks of locations share: something is looked at, and what came of it is a finding."""

from collections.abc import Callable, Iterable, Iterator

from amasia import errors
from amasia.models.locations import Finding
from amasia.providers.markets import Market

NOBODY = "amasia-nobody"
"""A machine that is not there: whether it may be ended is said all the same."""


def look(subject: str, what: Callable[[], str]) -> Finding:
    """A finding that is well with what was found, or not well with the error's words and cure."""
    try:
        return Finding(subject=subject, what=what(), ok=True)
    except errors.AmasiaError as error:
        return Finding(subject=subject, what=error.message.rstrip("."), ok=False, cure=error.cure)


def missing(market: Market) -> Iterator[Finding]:
    """Types that were asked for and are not there."""
    try:
        wishes = market.missing()
    except errors.AmasiaError as error:
        yield Finding(subject="machine types", what=error.message.rstrip("."), ok=False, cure=error.cure)
        return
    for wish in wishes:
        what = f"there is no machine type {wish!r}"
        yield Finding(subject="machine types", what=what, ok=False, cure="Correct `types` in the options.")


def rights(name: str, tried: Iterable[tuple[str, Callable[[], errors.AmasiaError | None]]]) -> Iterator[Finding]:
    """Each right by a call that needs it and does nothing, which says how it was refused."""
    names = []
    for right, call in tried:
        names.append(right)
        if refused := call():
            yield Finding(subject=name, what=refused.message.rstrip("."), ok=False, cure=refused.cure)
    yield Finding(subject="rights", what=f"tried without doing: {', '.join(names)}", ok=True)
