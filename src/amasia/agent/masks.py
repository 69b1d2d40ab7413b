"""The values of secrets are hidden in all that a machine writes or tells, each behind its name."""

import re
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path

from amasia.models.secrets import SHORTEST

PIECE = 64 << 10


class Mask:
    """Hides values, and each of their lines that is long enough to be one's own."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        said = {word: name for name, value in secrets.items() for word in _words(value)}
        self._names = {word.encode(): f"[secret {name}]".encode() for word, name in said.items()}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first)) or rb"(?!)")

    def __bool__(self) -> bool:
        return bool(self._names)

    def hide(self, text: str) -> str:
        return self._hidden(text.encode(errors="replace")).decode() if self._names else text

    def copy(self, source: int, path: Path) -> None:
        """What comes out of a pipe, to the end of a file, until nobody holds its other end any more."""
        rest = b""
        with open(source, "rb", buffering=0) as pipe, path.open("ab", buffering=0) as file:
            while piece := pipe.read(PIECE):
                done, rest = self._take(rest + piece)
                _append(file, done)
            _append(file, self._hidden(rest))

    def _take(self, text: bytes) -> tuple[bytes, bytes]:
        """What can be written, and the end that may be the beginning of a secret, or of a longer one."""
        kept = len(text) - self._begun(text)
        for found in self._pattern.finditer(text):
            if found.start() < kept < found.end():
                kept = found.start()
        return self._hidden(text[:kept]), text[kept:]

    def _begun(self, text: bytes) -> int:
        """How many bytes at the end some secret begins with."""
        longest = 0
        for word in self._names:
            at = text.find(word[:1], max(0, len(text) - len(word) + 1))
            while at >= 0 and not word.startswith(text[at:]):
                at = text.find(word[:1], at + 1)
            longest = max(longest, len(text) - at if at >= 0 else 0)
        return longest

    def _hidden(self, text: bytes) -> bytes:
        return self._pattern.sub(lambda found: self._names[found.group()], text)


def _append(file: FileIO, text: bytes) -> None:
    """What a full disk does not take is lost: whoever prints must not have to wait for it."""
    with suppress(OSError):
        file.write(text)


def _words(value: str) -> list[str]:
    """A secret may be printed line by line."""
    lines = [line.strip() for line in value.splitlines()]
    return [value, *(line for line in lines if len(line) >= SHORTEST)]
