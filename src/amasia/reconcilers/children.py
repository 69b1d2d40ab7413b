"""The end of a process that a reconciler started."""

import subprocess


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask it to end, and kill it when it has not after so long."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
