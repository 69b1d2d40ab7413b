"""Numbers as a small PNG with a palette, and the colours of the scale."""

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SEQUENTIAL = ("440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26",
               "fde725")  # fmt: skip
_DIVERGING = ("2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d", "b2182b")
_STEPS = 255


@dataclass(frozen=True)
class Scale:
    """From numbers to colours."""

    low: float
    high: float
    diverging: bool = False

    @property
    def anchors(self) -> tuple[str, ...]:
        return _DIVERGING if self.diverging else _SEQUENTIAL

    def indices(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """1 to 255; 0 where there is no number."""
        width = self.high - self.low or 1.0
        with np.errstate(invalid="ignore"):
            steps = np.clip((values - self.low) / width, 0, 1) * (_STEPS - 1) + 1
        return np.where(np.isfinite(values), steps, 0).astype(np.uint8)

    def palette(self) -> NDArray[np.uint8]:
        anchors = np.array([[int(one[at : at + 2], 16) for at in (0, 2, 4)] for one in self.anchors])
        at = np.linspace(0, len(anchors) - 1, _STEPS)
        steps = np.stack([np.interp(at, np.arange(len(anchors)), anchors[:, part]) for part in range(3)], axis=1)
        return np.vstack([[0, 0, 0], steps.round()]).astype(np.uint8)


def scale(values: NDArray[np.float64]) -> Scale | None:
    """The middle 96 per cent of the numbers; around zero where they lie on both sides of it. None without numbers."""
    found = values[np.isfinite(values)]
    if not found.size:
        return None
    low, high = (float(one) for one in np.quantile(found, (0.02, 0.98)))
    if low == high:
        low, high = float(found.min()), float(found.max())
    if low < 0 < high and min(-low, high) > 0.2 * max(-low, high):
        most = max(-low, high)
        return Scale(-most, most, diverging=True)
    return Scale(low, high)


def png(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> str:
    """A ``data:`` address of a PNG; index 0 is transparent."""
    height, width = indices.shape
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = indices
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.tobytes()),
        (b"tRNS", b"\0"),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    raw = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )
    return "data:image/png;base64," + base64.b64encode(raw).decode()
