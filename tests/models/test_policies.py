"""What a cloud is asked to allow is the least that does."""

import json

from amasia.models import policies


def test_only_what_carries_our_tag_can_be_ended_or_read():
    for each in policies.aws("eu-central-1")["Statement"]:
        if {"ec2:TerminateInstances", "ec2:GetConsoleOutput"} & set(each["Action"]):
            assert each["Condition"] == {"StringLike": {"aws:ResourceTag/amasia:place": "amasia/*"}}
            assert each["Resource"] == ["arn:aws:ec2:eu-central-1:*:instance/*"]


def test_nothing_that_changes_is_allowed_everywhere():
    for each in policies.aws()["Statement"]:
        changes = [action for action in each["Action"] if not action.split(":")[1].startswith(("Describe", "Get"))]
        assert not changes or "*" not in each["Resource"]


def test_a_role_is_given_only_where_there_is_one():
    assert "iam:PassRole" not in policies.aws_text()
    assert "iam:PassRole" in json.dumps(policies.aws(profile_role="arn:aws:iam::1:role/r"))


def test_roles_of_google_and_azure_are_what_their_tools_read():
    assert set(json.loads(policies.gcp_text())["includedPermissions"]) == set(policies.GCP)
    acting, looking = json.loads(policies.azure_text())
    assert not any(action.endswith("/*") for action in acting["Actions"] + looking["Actions"])
    assert all(action.endswith("/read") for action in looking["Actions"])
