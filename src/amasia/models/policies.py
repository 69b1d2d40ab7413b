"""What a cloud is to allow the control plane at least, to be pasted into the cloud's own console."""

import json
from typing import Any

AWS_READS = (
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeImages",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotPriceHistory",
    "ssm:GetParameters",
)
AWS_OPTIONAL = ("pricing:GetProducts", "servicequotas:GetServiceQuota", "iam:GetInstanceProfile")
"""Better checks and prices; machines start without them."""
_TAGGED = ("instance", "volume", "network-interface", "spot-instances-request")
_USED = ("image", "subnet", "security-group", "network-interface", "key-pair", "snapshot")


def aws(region: str = "*", profile_role: str = "") -> dict[str, Any]:
    """The least IAM policy of a location's key: it can end, and read the console of, only what carries our tag.

    Parameters
    ----------
    profile_role
        ARN of the role of the machines' instance profile; empty where they have none.
    """
    arn = f"arn:aws:ec2:{region}:*:"
    ours = {"StringLike": {"aws:ResourceTag/amasia:place": "amasia/*"}}
    statements = [
        _allow("Look", [*AWS_READS, *AWS_OPTIONAL], ["*"]),
        _allow("StartOurs", ["ec2:RunInstances"], [f"{arn}instance/*"],
               {"StringLike": {"aws:RequestTag/amasia:place": "amasia/*"}}),
        _allow("StartWith", ["ec2:RunInstances"],
               [f"arn:aws:ec2:{region}:*:{kind}/*" for kind in (*_USED, "volume", "spot-instances-request")]
               + [f"arn:aws:ec2:{region}::{kind}/*" for kind in ("image", "snapshot")]),
        _allow("TagAtStart", ["ec2:CreateTags"], [f"{arn}{kind}/*" for kind in _TAGGED],
               {"StringEquals": {"ec2:CreateAction": "RunInstances"}}),
        _allow("EndOurs", ["ec2:TerminateInstances", "ec2:GetConsoleOutput"], [f"{arn}instance/*"], ours),
    ]  # fmt: skip
    if profile_role:
        passed = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
        statements.append(_allow("GiveTheirRole", ["iam:PassRole"], [profile_role], passed))
    return {"Version": "2012-10-17", "Statement": statements}


def aws_text(region: str = "*", profile_role: str = "") -> str:
    return json.dumps(aws(region, profile_role), indent=2)


def _allow(
    sid: str, actions: list[str], resources: list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return made | ({"Condition": condition} if condition else {})
