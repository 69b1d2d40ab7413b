"""Object storage, Icechunk repositories in it, and the commits that were made there."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from amasia.models.base import Model, Name, Time


class BucketKind(StrEnum):
    embedded = "embedded"
    """The control plane's own S3 store."""
    s3 = "s3"
    """Any S3 or S3-compatible store."""
    gcs = "gcs"
    """Google Cloud Storage."""
    azure = "azure"
    """Azure Blob Storage."""
    directory = "directory"
    """A directory that client and machines share. One writer at a time, by a lock."""


class BucketStatus(StrEnum):
    requested = "requested"
    """Not tried yet."""
    ready = "ready"
    failed = "failed"


class Bucket(Model):
    workspace: Name
    name: Name
    kind: BucketKind
    uri: str
    """``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://account/container/prefix`` or a directory's path.

    Without a container, ``az://account``, every repository has one of its own."""
    endpoint: str = ""
    region: str = "us-east-1"
    status: BucketStatus = BucketStatus.ready
    reason: str = ""
    """Why it cannot be used."""
    egress_price: int | None = None
    """Micro-units per GiB that leaves its region; None where nobody knows."""
    private_endpoint: bool = False
    """Whether its endpoint may be at a private address: an operator registered it, or the settings let everybody."""


class BucketRequest(Model):
    name: Name
    kind: BucketKind
    uri: str
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = Field(default="", repr=False)
    secret_key: str = Field(default="", repr=False)
    """Kept encrypted; only short-lived credentials derived from it are ever lent. Of Google, a service account's key
    (JSON); of Azure, an account key; of both, nothing for the control plane's own identity, which takes an operator."""
    role: str = ""
    """ARN of the role that credentials are lent from; stores other than AWS mostly ignore it."""
    egress_price: int | None = Field(default=None, ge=0)
    """Micro-units per GiB that leaves its region."""


class RepositoryStatus(StrEnum):
    requested = "requested"
    ready = "ready"
    failed = "failed"


class Repository(Model):
    id: str
    workspace: Name
    name: Name
    bucket: Name
    status: RepositoryStatus
    description: str = ""
    reason: str = ""
    created_by: Name
    created_at: Time

    @property
    def full_name(self) -> str:
        return f"{self.workspace}/{self.name}"


class RepositoryRequest(Model):
    name: Name
    bucket: Name | None = None
    """None for the workspace's first bucket."""
    description: str = ""


class Mode(StrEnum):
    read = "read"
    write = "write"


class Lease(Model):
    """Where a repository's bytes are and a short-lived right to them."""

    repository: Name
    workspace: Name
    mode: Mode
    kind: BucketKind
    bucket: str
    """The bucket, or Azure's container; for a directory, its path."""
    prefix: str
    """Of the repository in the bucket, without slashes at the ends."""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = Field(default="", repr=False)
    session_token: str = Field(default="", repr=False)
    """Of S3; the access token of Google; the shared access signature (SAS) of Azure, where it is the whole key."""
    account: str = ""
    """Azure's storage account."""
    expires_at: Time | None = None


class LeaseRequest(Model):
    mode: Mode = Mode.read
    seconds: int | None = Field(default=None, ge=900, le=3600)
    """How long it is good for; None for what the control plane gives."""


class Input(Model):
    """A repository at a snapshot, as ``demo/reanalysis@1CECHNKREP0F1RSTCMT0``."""

    repository: str
    snapshot: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.snapshot}"


class CommitStatus(StrEnum):
    begun = "begun"
    """Asked for; the snapshot is not known yet."""
    committed = "committed"
    abandoned = "abandoned"
    """Never found in the repository's history."""
    expired = "expired"
    """No longer in the repository's history: forgotten with its old values."""


class CommitRequest(Model):
    """Asked before a commit, so that its provenance is the control plane's word and not the client's."""

    branch: str = "main"
    message: str = Field(min_length=1)
    cluster_id: str | None = None
    inputs: tuple[Input, ...] = ()
    environment_hash: str = ""
    code_version: str = ""


class Provenance(Model):
    """Where a commit comes from. Kept in the commit's own metadata under ``amasia``, and indexed."""

    commit_id: str
    user: str
    at: Time
    cluster: str = ""
    inputs: tuple[Input, ...] = ()
    environment_hash: str = ""
    code_version: str = ""
    amount: int = 0
    """Micro-units: the cluster's cost since its last commit."""
    currency: str = ""
    milliseconds: int = 0


class CommitDone(Model):
    snapshot: str
    """Empty where it was refused by the store: another one had changed the same thing."""


class Commit(Model):
    """A snapshot in a repository's history, as the control plane indexed it."""

    id: str
    repository: str
    branch: str
    status: CommitStatus
    snapshot: str = ""
    parent: str = ""
    message: str
    at: Time
    provenance: Provenance | None = None
    metadata: dict[str, Any] = {}
    nbytes: int | None = None
    """What it added to the bucket, as stored; None while that is not known."""
