"""Patience of tests: what comes by itself is looked for again and again, and never slept for."""

import time
from collections.abc import Callable


def wait[T](
    condition: Callable[[], T], seconds: float = 10.0, *, pause: float = 0.05, why: Callable[[], str] = str
) -> T:
    """What the condition gives as soon as that is true.

    Parameters
    ----------
    seconds
        To wait at most.
    pause
        Seconds between two looks.
    why
        More to say where it did not come true.

    Raises
    ------
    TimeoutError
        It did not come true.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s {why()}".rstrip())
        time.sleep(pause)
    return found
