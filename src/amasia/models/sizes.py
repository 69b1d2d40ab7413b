"""Bytes, and how they are said."""

MIB = 1 << 20
GIB = 1 << 30


def memory(nbytes: int) -> str:
    """What a process or a machine has: ``1.4 GiB``, or ``300 MiB`` for what is small."""
    return f"{nbytes / GIB:.1f} GiB" if nbytes >= 1000 * MIB else f"{nbytes / MIB:.0f} MiB"


def volume(nbytes: int) -> str:
    """What data take up, in three digits: ``512 B``, ``3.5 KiB``, ``1.2 GiB``."""
    count, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if count < 999.5:  # which three digits would call 1e+03
            break
        count, unit = count / 1024, larger
    return f"{count:.3g} {unit}"
