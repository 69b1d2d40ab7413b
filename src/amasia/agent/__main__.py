"""``python -m amasia.agent DIRECTORY --cache CACHE``: the one agent of the machine in that directory."""

import argparse
import fcntl
import os
import sys
from datetime import datetime
from functools import partial
from pathlib import Path

from amasia.agent import memory
from amasia.agent.machines import Agent, Build
from amasia.environments.build import build
from amasia.models import homes
from amasia.models.machines import Boot


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m amasia.agent", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--uv-cache", type=Path, help="shared with others on this computer")
    parser.add_argument("--booted", type=datetime.fromisoformat, help="when its boot script began")
    arguments = parser.parse_args()
    builder = partial(build, uv_cache=arguments.uv_cache)
    return run(arguments.directory.absolute(), arguments.cache.absolute(), builder, arguments.booted)


def run(home: Path, cache: Path, builder: Build = build, booted: datetime | None = None) -> int:
    lock = os.open(home / homes.LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # another agent is this machine
    boot = homes.read(home / homes.BOOT, Boot)
    if boot is None or (home / homes.EXIT).exists():
        return 1
    memory.protect_agent()
    return Agent(home, cache, boot, builder, booted).run()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # it costs until it is gone
