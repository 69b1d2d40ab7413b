"""Lines 5 and 6: how fast the bill is with millions of charges, and an export that FOCUS's own validator accepts."""

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
from uv import find_uv_bin

from benchmarks import costs
from show.lines import Line

ROUNDS = 40
EXPORTED = 20_000
"""Charges of which the export is made."""
VALIDATOR = ("focus-validator==2.2.1", "pyarrow<22")
"""The FinOps Foundation's, in an environment of its own: its pins are not ours. It brings the rules of FOCUS 1.2."""
RULES = "1.2.0.1"
SUPPORTED = (
    "ACCOUNT_NAMING_SUPPORTED,AVAILABILITY_ZONE_SUPPORTED,BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED,"
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED,REGION_SUPPORTED,RESOURCE_TYPE_ASSIGNMENT_SUPPORTED,TAGGING_SUPPORTED,"
    "USAGE_MEASUREMENT_SUPPORTED"
)
"""What of the format is asked of somebody who has what Amasia has."""
EITHER = {"InvoiceId-C-004-C": "InvoiceId-C-003-C", "InvoiceId-C-005-C": "InvoiceId-C-003-C"}
"""Rules of which one must fail, as each asks for the other's opposite; what asks for either of them."""

RUN = """
import os, runpy, sys
import focus_validator
os.chdir(os.path.dirname(os.path.dirname(focus_validator.__file__)))  # it reads its own rules from there
sys.argv = ["focus-validator", *sys.argv[1:]]
runpy.run_module("focus_validator.main", run_name="__main__")
"""


def speed(name: str, dose: float, base: Path) -> Iterator[Line]:
    """Line 5, on one of the two databases."""
    count = max(10_000, round(costs.CHARGES[name] * dose))
    found = costs.run(name, base, dose, max(5, round(ROUNDS * min(1, 4 * dose))))
    everything = [value for one in found for value in one.milliseconds]
    slowest = max(found, key=lambda one: one.p95)
    page = max((one for one in found if not one.path.startswith("/v1")), key=lambda one: one.p95)
    what = f"{name}, {count:,} charges"
    cpu = statistics.median([value for one in found for value in one.cpu])
    yield Line(5, f"{what}: the cost page, 95th percentile", f"{page.p95:.0f} ms", f"< {costs.GOAL_MS} ms",
               page.p95 < costs.GOAL_MS, f"{page.path}; median {page.median:.0f} ms")  # fmt: skip
    yield Line(5, f"{what}: the page and every cut, {len(everything)} requests, 95th percentile",
               f"{costs.percentile(everything):.0f} ms", f"< {costs.GOAL_MS} ms",
               costs.percentile(everything) < costs.GOAL_MS,
               f"median {statistics.median(everything):.0f} ms, {cpu:.0f} ms of processor; slowest {slowest.path} "
               f"{slowest.p95:.0f} ms")  # fmt: skip


def focus(base: Path) -> Iterator[Line]:
    """Line 6: as CSV and as Parquet, written by the command from a control plane."""
    with costs.database(base / "plane", "sqlite") as db:
        costs.fill(db, EXPORTED)
        with costs.served(db, base / "plane") as url:
            for form in ("csv", "parquet"):
                file = base / f"bill.{form}"
                _export(url, file)
                yield from judge(file, form)


def judge(file: Path, form: str) -> Iterator[Line]:
    """What the validator says of a file."""
    passed, failed, text = validate(file)
    broken = sorted(rule for rule in failed if EITHER.get(rule) not in passed)
    good = not broken and len(passed) > 100
    figure = f"{len(broken)} of {len(passed) + len(broken)}"
    yield Line(6, f"FOCUS {RULES} as {form}: rules that its validator finds broken", figure, "0", good,
               ", ".join(broken) or ("" if good else text[-600:]))  # fmt: skip


def validate(file: Path) -> tuple[set[str], set[str], str]:
    """(rules that hold, rules that do not, all that the validator said)."""
    packages = [word for one in VALIDATOR for word in ("--with", one)]
    command = [find_uv_bin(), "run", "--no-project", "--python", sys.executable, *packages, "python", "-c", RUN,
               "--data-file", str(file.absolute()), "--validate-version", RULES, "--block-download",
               "--focus-dataset", "CostAndUsage", "--applicability-criteria", SUPPORTED]  # fmt: skip
    variables = {key: word for key, word in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=file.parent, check=False)
    text = done.stdout + done.stderr
    passed = set(re.findall(r"^\W*([A-Za-z]+-[A-Z]-\d+-[A-Z]): PASS", text, re.M))
    failed = set(re.findall(r"^\W*([A-Za-z]+-[A-Z]-\d+-[A-Z]): FAIL", text, re.M))
    return passed, failed, text


def _export(url: str, file: Path) -> None:
    body = {"name": "ada", "password": costs.PASSWORD, "label": "export"}
    secret = httpx2.post(f"{url}/v1/sign-in", json=body).json()["secret"]
    variables = os.environ | {"AMASIA_URL": url, "AMASIA_TOKEN": secret, "AMASIA_WORKSPACE": costs.WORKSPACE}
    command = [sys.executable, "-m", "amasia.cli.main", "cost", "--format", "focus", "--output", str(file)]
    subprocess.run(command, env=variables, check=True, capture_output=True)
