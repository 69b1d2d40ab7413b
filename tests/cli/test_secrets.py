"""``amasia secret``."""

import os
import subprocess
import sys

from tests.cli.test_main import NOWHERE


def test_a_file_that_is_no_text_is_refused_with_a_way_to_make_it_one():
    command = [sys.executable, "-m", "amasia.cli.main", "secret", "set", "KEY"]
    env = os.environ | NOWHERE | {"PYTHONIOENCODING": "utf-8:strict"}
    ran = subprocess.run(command, input=b"\xff\xfe key", capture_output=True, env=env, timeout=60, check=False)
    assert (ran.returncode, b"this is none" in ran.stderr, b"base64" in ran.stderr) == (2, True, True), ran.stderr
