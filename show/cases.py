"""Tests that are lines of a proof, run as anybody runs them."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from show import planes


def tested(base: Path, *wanted: str, **variables: str) -> list[ET.Element]:
    """The cases of a run of tests: one that has anything inside failed, broke or was skipped."""
    report = base / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *wanted]
    subprocess.run(command, cwd=planes.ROOT, env=planes.clean() | variables, capture_output=True, check=False)
    return list(ET.parse(report).iter("testcase")) if report.exists() else []  # noqa: S314 - pytest wrote it


def troubled(cases: list[ET.Element]) -> list[str]:
    """The names of those that did not pass."""
    return [str(case.get("name")) for case in cases if len(case)]
