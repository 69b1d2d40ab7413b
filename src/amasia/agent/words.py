"""Sizes and tasks as people say them; shared by the agent and the Dask process."""


def gib(size: int) -> str:
    """``1.4 GiB``, or ``300 MiB`` for what is small."""
    return f"{size / (1 << 30):.1f} GiB" if size >= 1000 << 20 else f"{size / (1 << 20):.0f} MiB"


def while_running(keys: list[str]) -> str:
    """`` while running 'mean-1', 'mean-2', 'mean-3' and 2 more``; empty for nothing."""
    if not keys:
        return ""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f" while running {', '.join(f"'{key}'" for key in keys[:3])}{more}"


def over_memory(role: str, used: int, limit: int, keys: list[str]) -> str:
    return f"the {role} used {gib(used)} of {gib(limit)} and was killed{while_running(keys)}"
