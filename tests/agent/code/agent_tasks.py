"""Tasks that go wrong: the loose code of the machines in these tests."""

import os
import signal
import subprocess
import sys
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


def sleeper():
    return subprocess.Popen(["sleep", "60"], start_new_session=True).pid


def hoarder(megabytes):
    """Memory that only children hold, so that the worker itself has nothing to notice."""
    code = f"import time; kept = bytearray(b'x') * ({megabytes} << 20); time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], check=False)


def shout(name):
    print("the key is", os.environ[name], flush=True)
    sys.stderr.write(f"again {os.environ[name]}\n")
    sys.stderr.flush()
    return os.environ[name]


def last_words(name):
    print("last words:", os.environ[name], flush=True)
    os._exit(3)
