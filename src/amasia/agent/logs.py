"""What a machine's processes print, shipped in pieces."""

import contextlib
import os
from pathlib import Path

PIECE = 64 << 10
"""Most bytes in one heartbeat."""
BEHIND = 1 << 20
"""A log that runs this far ahead of its shipping is cut."""
TRUNCATE = 16 << 20
"""Size at which a file that was shipped whole begins anew."""


class Log:
    """A log file with a cursor that only moves when a piece has arrived, so that a lost answer sends it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cursor = 0
        self._pending = 0

    def next(self) -> str:
        """The next whole lines; the same again until `arrived` is called."""
        size = self._size()
        skipped = 0
        if size - self._cursor > BEHIND:
            skipped = size - self._cursor - PIECE
            self._cursor += skipped
        piece = self._read(self._cursor, PIECE)
        end = piece.rfind(b"\n") + 1 if len(piece) < PIECE or b"\n" in piece else len(piece)
        self._pending = end
        text = piece[:end].decode(errors="replace")
        return f"… {skipped} bytes were left out …\n{text}" if skipped else text

    def arrived(self) -> None:
        self._cursor += self._pending
        self._pending = 0
        if self._cursor >= TRUNCATE and self._cursor == self._size():
            with contextlib.suppress(OSError):
                os.truncate(self.path, 0)
                self._cursor = 0

    def tail(self, lines: int = 4) -> str:
        """The last lines, for the reason of a death."""
        size = self._size()
        text = self._read(max(0, size - 4096), 4096).decode(errors="replace")
        found = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(found[-lines:])

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _read(self, offset: int, count: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read(count)
        except FileNotFoundError:
            return b""
