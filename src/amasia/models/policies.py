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


GCP = (
    "compute.instances.create",
    "compute.instances.setMetadata",
    "compute.instances.setLabels",
    "compute.instances.setTags",
    "compute.disks.create",
    "compute.disks.setLabels",
    "compute.subnetworks.use",
    "compute.instances.delete",
    "compute.instances.get",
    "compute.instances.list",
    "compute.instances.getSerialPortOutput",
    "compute.zoneOperations.get",
    "compute.zoneOperations.list",
    "compute.machineTypes.list",
    "compute.regions.get",
    "compute.images.get",
)
"""Of a project; ``compute.subnetworks.useExternalIp`` where machines have public addresses."""
AZURE = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action",
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/disks/delete",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Network/networkInterfaces/delete",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Network/networkSecurityGroups/join/action",
)
"""Of the resource group and the subnet's group."""
AZURE_READS = ("Microsoft.Compute/skus/read", "Microsoft.Compute/locations/usages/read")
"""Of the subscription."""


def gcp_text() -> str:
    """A custom role, as ``gcloud iam roles create --file`` reads it."""
    return json.dumps({"title": "Amasia machines", "stage": "GA", "includedPermissions": list(GCP)}, indent=2)


def azure_text() -> str:
    """Two custom roles, as ``az role definition create`` reads one: to act in a group, and to look around."""
    scopes = ["/subscriptions/<subscription>"]
    roles = {"Amasia machines": AZURE, "Amasia machine types": AZURE_READS}
    return json.dumps(
        [{"Name": name, "Actions": list(actions), "AssignableScopes": scopes} for name, actions in roles.items()],
        indent=2,
    )


def _allow(
    sid: str, actions: list[str], resources: list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return made | ({"Condition": condition} if condition else {})
