"""A death and its tasks as people say them; shared by the agent and the Dask process."""

from amasia.models.sizes import memory


def while_running(keys: list[str]) -> str:
    """`` while running 'mean-1', 'mean-2', 'mean-3' and 2 more``; empty for nothing."""
    if not keys:
        return ""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f" while running {', '.join(f"'{key}'" for key in keys[:3])}{more}"


def over_memory(role: str, used: int, limit: int, keys: list[str]) -> str:
    return f"the {role} used {memory(used)} of {memory(limit)} and was killed{while_running(keys)}"
