"""The boot script: a bare Linux becomes a machine. The same one for every provider but the local one.

It needs a POSIX shell, one of curl, wget and python3, and a Python that the agent can run in (3.12 or newer), which uv
looks for or, where the location allows it, fetches. When the agent ends, the machine does; and a watchdog, which is
no part of the agent, ends both when the time that was paid for is over.
"""

import re
import shlex
from collections.abc import Mapping
from importlib.resources import files

from amasia.models import homes
from amasia.models.base import now
from amasia.models.machines import Boot

AFTER = 10
"""Seconds after the end of the lease at which the watchdog ends what is still there: the agent ends before it."""


def script(
    boot: Boot, root: str, *, poweroff: bool = False, variables: Mapping[str, str] | None = None, notice: str = ""
) -> str:
    """The boot script of one machine, to be run by ``/bin/sh`` as the user that owns the machine.

    Parameters
    ----------
    root
        Directory on the machine for all that is kept: ``machines/<id>``, ``agents/<kit>``, ``cache``. May begin with
        ``$HOME`` or ``~``.
    poweroff
        Whether the system goes down when the agent is over: for a VM, that is its end.
    variables
        Of the environment of everything that is started: mirrors (``UV_DEFAULT_INDEX``, ``UV_PYTHON_INSTALL_MIRROR``),
        proxies.
    notice
        Shell that prints when the provider takes the machine back, and nothing as long as it has not said so; tried
        every few seconds. The agent then hands its work to others.
    """
    paid = max(0, int((boot.lease_until - now()).total_seconds()))
    values = {
        "ID": shlex.quote(boot.machine_id),
        "ROOT": quoted(root),
        "PLANE": shlex.quote(boot.control_plane),
        "PAID": str(paid + AFTER),
        "AFTER": str(AFTER),
        "LEASE": homes.LEASE,
        "EXIT": homes.EXIT,
        "STOPPED": homes.STOPPED,
        "ALIVE": homes.ALIVE,
        "LOG": homes.LOG,
        "BOOT": homes.BOOT,
        "NOTICED": homes.NOTICE,
        "NOTICE": notice,
        "HEED": "heed &\nherald=$!" if notice else "",
        "POWEROFF": "yes" if poweroff else "",
        "EXPORTS": exports(variables or {}),
        "CA": _trust(boot.ca),
        "JSON": boot.model_dump_json(),
    }
    return filled("boot.sh", values)


def filled(script: str, values: Mapping[str, str]) -> str:
    """A script of this room with each ``@NAME@`` replaced, in one pass: what is put in is never looked at again."""
    text = files("amasia.providers").joinpath(script).read_text()
    return re.sub(f"@({'|'.join(values)})@", lambda found: values[found[1]], text)


def exports(variables: Mapping[str, str]) -> str:
    """Lines of a shell that set them."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _trust(ca: str) -> str:
    """Lines that write down an authority of one's own, and tell everything after them of it."""
    return f"cat >ca.pem <<'AMASIA'\n{ca.strip()}\nAMASIA\nexport AMASIA_CA=\"$home/ca.pem\"" if ca else ""


def quoted(root: str) -> str:
    """Quoted, but for a home directory at its head, which only the machine knows."""
    for head in ("$HOME", "~"):
        if root == head or root.startswith(head + "/"):
            return '"$HOME"' + shlex.quote(root.removeprefix(head)) if root != head else '"$HOME"'
    return shlex.quote(root)
