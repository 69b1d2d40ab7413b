"""Files that are there as a whole or not at all, whatever is killed while they are written."""

import os
from pathlib import Path
from secrets import token_hex


def write(
    path: Path, content: str | bytes, *, private: bool = False, durable: bool = False, replace: bool = True
) -> None:
    """Write a file beside its place, then put it there. Its folder must be there.

    Parameters
    ----------
    content
        Text is written as UTF-8.
    private
        Readable by its owner only, from the first moment.
    durable
        On the disk when this returns; otherwise the operating system may take half a minute.
    replace
        False to leave one that is there as it is.

    Raises
    ------
    FileExistsError
        There is one already, and it was not to be replaced.
    """
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    if durable:
        _sync(path.parent)


def _sync(folder: Path) -> None:
    """That it is this file, and not the one before, is on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
