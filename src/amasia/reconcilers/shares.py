"""How threads are shared between tenants: whoever has much to do leaves some to whoever comes next."""


def share(threads: int, tenants: int) -> int:
    """Threads that one of so many tenants may keep busy; never all of them."""
    return max(1, min(threads - 1, threads // max(1, tenants)))


def tenant(place: str) -> str:
    """Of a place, ``workspace/name``."""
    return place.partition("/")[0]
