"""Sums of floats in pairs (a value, and what it lost by rounding): about 32 digits.

What was added can be taken away again: in single floats 1e16 + 1 - 1e16 is 0, and a view would never recover from one
value that was wrong for a day.
"""

import numpy as np
import numpy.typing as npt

type Array = npt.NDArray[np.float64]
type Pair = tuple[Array, Array]

EPS = 2.0**-98
"""Bound of what a sum may be wrong by, relative to the largest partial sum, after a few hundred changes."""
_SPLIT = 2.0**27 + 1


def two_sum(a: Array, b: Array) -> Pair:
    """Their sum as a float, and exactly what that float is short of."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def squares(a: Array) -> Pair:
    """Each value squared, and exactly what that float is short of."""
    product = a * a
    big = a * _SPLIT
    high = big - (big - a)
    low = a - high
    return product, ((high * high - product) + 2 * high * low) + low * low


def add(a: Pair, b: Pair) -> Pair:
    """Both together. An infinite sum has no rest."""
    with np.errstate(invalid="ignore", over="ignore"):
        high, error = two_sum(a[0], b[0])
        low, rest = two_sum(a[1], b[1])
        high, error = _quick(high, error + low)
        high, low = _quick(high, error + rest)
        plain = a[0] + b[0]
    known = np.isfinite(plain)
    return np.where(known, high, plain), np.where(known, low, 0.0)


def total(pair: Pair) -> Pair:
    """The sum over the first axis; of no rows, zero."""
    high, low = pair
    if not len(high):
        return np.zeros(high.shape[1:]), np.zeros(high.shape[1:])
    while len(high) > 1:
        half = len(high) // 2
        first = add((high[:half], low[:half]), (high[half : 2 * half], low[half : 2 * half]))
        odd = 2 * half < len(high)
        high = np.concatenate([first[0], high[-1:]]) if odd else first[0]
        low = np.concatenate([first[1], low[-1:]]) if odd else first[1]
    return high[0], low[0]


def minus(pair: Pair) -> Pair:
    return -pair[0], -pair[1]


def _quick(a: Array, b: Array) -> Pair:
    total = a + b
    return total, b - (total - a)
