"""Tasks that go wrong: the loose code of the machines in these tests."""

import os
import signal
import time

MIB = 1 << 20


def at_once(megabytes):
    return len(bytearray(b"x") * (megabytes * MIB))


def slowly(megabytes):
    kept = []
    for _ in range(megabytes // 4):
        kept.append(bytearray(b"x") * (4 * MIB))
        time.sleep(0.01)
    return len(kept)


def suicide():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)
