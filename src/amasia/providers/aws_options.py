"""What an administrator says of a location on EC2."""

from typing import Literal

from pydantic import Field, field_validator

from amasia.models.money import parse
from amasia.providers.options import Options, Variables


class AwsOptions(Options):
    """The keys of its file, without `[secrets]`."""

    subnets: list[str] = Field(min_length=1)
    """One or more, best one in each zone. The first is taken first, so that a cluster stays together."""
    security_groups: list[str] = []
    instance_profile: str = ""
    """Name of the profile whose rights the machines, and all who run on them, have."""
    types: list[str] = []
    """Machine types that are offered, such as ``m7i.large`` or ``c7g.*``; empty for a list of our own."""
    images: dict[Literal["x86_64", "aarch64", "gpu"], str] = {}
    prices: dict[str, str] = {}
    """Per hour on demand, by machine type, such as ``"0.1008"``."""
    price_list: bool = True
    """Whether AWS's price list is asked."""
    public_ip: bool = False
    disk_gib: int = Field(default=50, ge=8, le=16_384)
    kms_key: str = ""
    """That encrypts the disks; empty for the account's own."""
    role: str = ""
    """ARN of a role that is assumed first."""
    external_id: str = ""
    root: str = "/opt/amasia"
    """Directory on the machines."""
    variables: Variables = {}
    """Of the environment of what runs there: mirrors, proxies."""
    tags: dict[str, str] = {}
    """More tags, for the bill."""

    @field_validator("prices")
    @classmethod
    def _check(cls, value: dict[str, str]) -> dict[str, str]:
        for text in value.values():
            parse(text)
        return value
