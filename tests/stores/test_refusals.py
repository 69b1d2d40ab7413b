"""The policy that refuses."""

import json
from datetime import timedelta

from amasia.models.base import now
from amasia.models.revocations import Revocation
from amasia.stores.refusals import policy

AT = now()


def lost(number: int, workspace: str) -> Revocation:
    at = AT + timedelta(seconds=number)
    return Revocation(id=f"rv-{number}", workspace=workspace, user="u", session=f"{number:06x}@{'u' * 63}", at=at)


def names(made):
    return [name for one in made["Statement"][::2] for name in one["Condition"]["StringLike"]["aws:PrincipalArn"]]


def listed(statement):
    return statement["Condition"]["StringLike"].get("s3:prefix", ())


def test_it_names_each_in_their_workspace_and_nothing_else():
    made = policy("amasia", [lost(1, "lab"), lost(2, "other"), lost(3, "lab")])
    assert {(one["Effect"], *one["Resource"], *listed(one)) for one in made["Statement"]} == {
        ("Deny", "arn:aws:s3:::amasia/lab/*"),
        ("Deny", "arn:aws:s3:::amasia", "lab/*"),
        ("Deny", "arn:aws:s3:::amasia/other/*"),
        ("Deny", "arn:aws:s3:::amasia", "other/*"),
    }
    assert len(names(made)) == 3
    assert all(name.startswith("*/00000") for name in names(made))


def test_it_fits_whatever_happens_and_the_newest_go_first():
    for workspaces in (1, 40, 2000):
        made = policy("amasia", [lost(number, f"{number % workspaces:063}") for number in range(2000)])
        assert len(json.dumps(made, separators=(",", ":"))) <= 20 << 10
        assert f"*/{1999:06x}@{'u' * 57}" in names(made)
        assert 20 < len(names(made)) < 300
