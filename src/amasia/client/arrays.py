"""Repositories of versioned arrays, as a scientist holds them: opened, read, written."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import icechunk
import xarray as xr
import zarr
from pydantic import ValidationError

from amasia import errors
from amasia.client import branches, credentials, ingests, origins, pages, repositories, tags, turns
from amasia.client.diffs import Difference
from amasia.client.transport import connect
from amasia.models import repositories as models
from amasia.models.base import Page, split_repository
from amasia.models.repositories import (
    Commit,
    CommitDone,
    CommitStatus,
    Input,
    Lease,
    LeaseRequest,
    Provenance,
)
from amasia.models.repositories import Mode as LeaseMode
from amasia.settings import client_settings
from amasia.stores import diffs, lineage, refs, regions, virtual, writing
from amasia.stores import repositories as stores
from amasia.stores.failures import translated
from amasia.stores.readers.contents import Options
from amasia.stores.regions import Region

Mode = Literal["read", "write"]
WriteMode = Literal["w-", "w"]
_TRIES = 3
"""Of an append whose place was taken by a commit that asked for no turn."""


@dataclass(frozen=True)
class LeaseSource:
    """Asks the control plane for the right to read or write one repository.

    It travels to workers and holds no secret: each process asks with its own token.
    """

    workspace: str
    repository: str
    repository_id: str
    """Keeps leases apart when a repository is deleted and another one gets its name."""
    mode: str

    def __call__(self) -> Lease:
        body = LeaseRequest(mode=LeaseMode(self.mode))
        return connect().post(f"{repositories.path(self.workspace, self.repository)}/credentials", body, Lease)


class Repository:
    """A versioned repository of arrays; `open_repo` makes one.

    Attributes
    ----------
    name
        As ``workspace/repository``.
    repo
        The `icechunk.Repository` underneath, with credentials that renew themselves.
    """

    def __init__(self, record: models.Repository, mode: Mode) -> None:
        self.record = record
        self.mode = mode
        self._source = LeaseSource(record.workspace, record.name, record.id, mode)
        # References are read from nowhere that this user did not allow: others write a repository's configuration.
        allowed = client_settings().virtual_sources
        self.repo: icechunk.Repository = virtual.allow(stores.open(self._source), allowed)

    @property
    def name(self) -> str:
        return self.record.full_name

    def __repr__(self) -> str:
        return f"<Repository {self.name} ({self.mode})>"

    def _repr_html_(self) -> str:
        return pages.repository(self.record, self.log(limit=5), self.groups())

    def snapshot(self, ref: str = "main") -> str:
        """Id of the snapshot that a branch, tag, snapshot id or time (``2026-11-22T10:00``, in UTC) means now.

        Raises
        ------
        NotFound
        """
        return refs.resolve(self.repo, ref, self.name, self._source)

    @property
    def branches(self) -> set[str]:
        with translated(self._source):
            return set(self.repo.list_branches())

    @property
    def tags(self) -> set[str]:
        with translated(self._source):
            return set(self.repo.list_tags())

    def groups(self, ref: str = "main") -> list[str]:
        """Paths of the groups that hold arrays; ``"/"`` is the root."""
        session = self._reading(ref)
        with translated(self._source):
            return stores.groups(session)

    def to_xarray(
        self,
        group: str = "/",
        *,
        ref: str = "main",
        chunks: Any = None,
        drop_variables: str | Iterable[str] | None = None,
    ) -> xr.Dataset:
        """Open a group at a branch, tag, snapshot or time, lazily.

        Parameters
        ----------
        group
            Path in the repository.
        ref
            The snapshot is looked up once: commits that come later do not change the dataset.
        chunks
            As for `xarray.open_dataset`: None for no Dask, ``{}`` for the chunks that are stored.

        Raises
        ------
        NotFound
            No such group, branch, tag or snapshot.
        """
        session = self._reading(ref)
        snapshot = session.snapshot_id
        store = lineage.mark(session, self.name, self._source)
        try:
            ds: xr.Dataset = xr.open_zarr(
                store, group=group, consolidated=False, chunks=chunks, drop_variables=drop_variables
            )
        except (FileNotFoundError, zarr.errors.GroupNotFoundError, zarr.errors.NodeNotFoundError) as error:
            raise errors.NotFound(
                f"{self.name}@{snapshot} has no group {group!r}.",
                cure=f"It has: {', '.join(self.groups(snapshot)) or 'none yet'}.",
            ) from error
        ds.encoding["source"] = f"amasia://{self.name}@{snapshot}"
        return ds

    def write(
        self,
        data: xr.Dataset | Mapping[str, xr.Dataset],
        message: str,
        *,
        group: str = "/",
        mode: WriteMode = "w-",
        growing: str | None = None,
        chunks: Mapping[str, int] | None = None,
        inputs: Iterable[Input] | None = None,
        branch: str = "main",
    ) -> str:
        """Write datasets in one commit. Those on Dask are written from the workers.

        Parameters
        ----------
        data
            A dataset, or datasets by the path of their group below ``group``.
        message
            What this commit is, for people.
        mode
            ``"w-"`` refuses to touch a group that is there; ``"w"`` replaces it.
        growing
            Dimension that more will be appended along.
        chunks
            Stored chunk lengths by dimension; chosen where not given.
        inputs
            What it was made from; None to find out from the datasets, or else all that this process opened.

        Returns
        -------
        str
            Id of the new snapshot.

        Raises
        ------
        Conflict
            The group is there already; or somebody changed the same chunks meanwhile.
        DataRejected
            It cannot be stored; nothing was written.
        """
        datasets = (
            {group: data} if isinstance(data, xr.Dataset) else {_below(group, key): ds for key, ds in data.items()}
        )

        def change(session: icechunk.Session) -> None:
            for path, ds in datasets.items():
                writing.write(session, ds, path, mode=mode, growing=growing, chunks=chunks)

        return self._commit(change, message, branch, _inputs(inputs, datasets.values()))

    def append(
        self,
        ds: xr.Dataset,
        dim: str,
        message: str,
        *,
        group: str = "/",
        inputs: Iterable[Input] | None = None,
        branch: str = "main",
    ) -> str:
        """Append along a dimension in one commit; checked before anything is written. Appends take turns.

        Raises
        ------
        DoesNotFit
            Names the variable, what is stored and what was offered.
        """
        read = _inputs(inputs, [ds])
        return self._append(lambda session: writing.append(session, ds, group, dim), message, branch, read)

    def write_region(
        self,
        ds: xr.Dataset,
        message: str,
        *,
        group: str = "/",
        region: Region = "auto",
        inputs: Iterable[Input] | None = None,
        branch: str = "main",
    ) -> str:
        """Write over a part of what is stored in one commit; writers of different chunks do not disturb one another.

        Parameters
        ----------
        region
            ``"auto"`` to find it by the dataset's coordinates, or slices by dimension.

        Raises
        ------
        Conflict
            Somebody wrote the same chunks meanwhile: says who, and which.
        DoesNotFit
            Names the variable or dimension, what is stored and what was offered.
        """
        read = _inputs(inputs, [ds])
        return self._commit(lambda session: regions.write_region(session, ds, group, region), message, branch, read)

    def diff(self, before: str, after: str = "main") -> Difference:
        """What differs between two branches, tags, snapshots or times; a notebook shows it as a picture."""
        found = diffs.compare(self.repo, self.snapshot(before), self.snapshot(after), self._source)
        return Difference.of(found, self.name)

    def create_branch(self, name: str, at: str = "main") -> None:
        """Begin a branch at a branch, tag, snapshot or time."""
        branches.create(self._writing(), self._source, self.repo, name, self.snapshot(at))

    def delete_branch(self, name: str) -> None:
        """Delete a branch; what only it reaches is removed by the next cleaning."""
        branches.delete(self._writing(), self._source, self.repo, name)

    def reset(self, to: str, *, branch: str = "main") -> str:
        """Point a branch at another snapshot, tag, branch or time; gives the snapshot that it pointed at before."""
        return branches.reset(self._writing(), self._source, self.repo, branch, self.snapshot(to))

    def create_tag(self, name: str, at: str = "main") -> None:
        """Name a snapshot for good."""
        tags.create(self._writing(), self._source, self.repo, name, self.snapshot(at))

    def delete_tag(self, name: str) -> None:
        """Delete a tag; its name is not free again."""
        tags.delete(self._writing(), self._source, self.repo, name)

    def ingest(
        self,
        paths: Iterable[str | Path],
        *,
        group: str | None = None,
        append_dim: str | None = None,
        chunks: Mapping[str, int] | None = None,
        how: ingests.How = "auto",
        decode_times: bool = True,
        keep_going: bool = False,
        order: Literal["coordinate", "given"] = "coordinate",
        cluster: Any = None,
        **watched: Any,
    ) -> ingests.Report:
        """Take files of any format that Amasia reads, each once by its content. Files after a crash: call it again.

        Parameters
        ----------
        paths
            Files, globs, or URLs of object stores and web servers.
        group
            Where they go; None for a group named after each file. A file's own groups are kept below it.
        append_dim
            The files are a series along this dimension: the first makes the group, the others are appended, many in
            one commit. Without it each file is a commit.
        chunks
            Stored chunk lengths by dimension; chosen where not given.
        how
            ``"native"`` copies, ``"virtual"`` refers to the files where they are; ``"auto"`` chooses and says why.
        decode_times
            False to keep times as the numbers that the files have.
        keep_going
            Report refused files instead of raising.
        order
            Of a series: by the first value of the coordinate, or as given.
        cluster
            An `amasia.Cluster`, or a Dask client: its workers read the files and write what they read, so they must
            see them too. None for processes of this computer.
        **watched
            ``readers`` and ``tell`` of `client.ingests.ingest`.

        Raises
        ------
        DataRejected
            Names the file; what was committed before stays. Not with ``keep_going``.
        InvalidRequest
            The workers of the cluster do not see the files.
        """
        if cluster is not None:
            from amasia.client.workers import Workers  # noqa: PLC0415  distributed: a second to import

            watched["readers"] = Workers(cluster)
        plan = ingests.Plan(group, append_dim, chunks, how, Options(decode_times), keep_going, order)
        return ingests.ingest(self.target, paths, plan, **watched)

    @property
    def target(self) -> ingests.Target:
        """Where `client.ingests` puts files."""
        return ingests.Target(
            self.repo,
            lambda change, message, kept: self._commit(change, message, "main", (), kept),
            self._name_prefixes,
            lambda: turns.held(self._writing(), "main"),
        )

    def _name_prefixes(self, prefixes: Iterable[str]) -> None:
        with stores.committing(self._source), translated(self._source):
            self.repo = virtual.name_prefixes(self.repo, prefixes)

    def credentials(self, *, hours: float | None = None) -> credentials.Credentials:
        """Short-lived credentials for tools that know only S3; see `client.credentials.lend`."""
        return credentials.lend(self.name, self.mode, hours=hours)

    def log(self, ref: str = "main", limit: int = 50) -> list[Commit]:
        """Commits, the newest first, with where each comes from.

        The origin is the control plane's word, not the repository's metadata, in which a writer may write anything;
        for the second or so before a commit is indexed it is what the commit says of itself.
        """
        found = stores.history(self.repo, ref, limit) if ref in self.branches else self._log_of(ref, limit)
        indexed = {commit.snapshot: commit for commit in connect().get(self._commits, Page[Commit]).items}
        return [self._as_commit(snapshot, ref, indexed.get(snapshot.id)) for snapshot in found]

    def _log_of(self, ref: str, limit: int) -> list[stores.Snapshot]:
        return stores.history(self.repo, limit=limit, snapshot=self.snapshot(ref))

    def _as_commit(self, snapshot: stores.Snapshot, branch: str, indexed: Commit | None) -> Commit:
        provenance = indexed.provenance if indexed else _claimed(snapshot)
        return Commit(
            id=provenance.commit_id if provenance else "",
            repository=self.name,
            branch=branch,
            status=CommitStatus.committed,
            snapshot=snapshot.id,
            parent=snapshot.parent,
            message=snapshot.message,
            at=snapshot.at,
            provenance=provenance,
            metadata=dict(snapshot.metadata),
        )

    @property
    def _commits(self) -> str:
        """Where the control plane keeps what is known of them."""
        return f"{repositories.path(self.record.workspace, self.record.name)}/commits"

    def _reading(self, ref: str) -> icechunk.Session:
        return refs.reading(self.repo, ref, self.name, self._source)

    def _writing(self) -> models.Repository:
        """Its record, where it may be written to."""
        if self.mode != "write":
            raise errors.PermissionDenied(
                f"{self.name} was opened for reading.", cure=f"Open it with open_repo({self.name!r}, mode='write')."
            )
        return self.record

    def _append(
        self, change: Callable[[icechunk.Session], None], message: str, branch: str, inputs: tuple[Input, ...]
    ) -> str:
        """Commit a change that goes with no other one: in turn, and again where somebody wrote without a turn."""
        with turns.held(self._writing(), branch):
            for _ in range(_TRIES):
                try:
                    return self._commit(change, message, branch, inputs)
                except errors.Conflict as error:
                    if "snapshot" not in error.detail:  # not of another commit: it would be so again
                        raise
            return self._commit(change, message, branch, inputs)

    def commit(
        self,
        session: icechunk.Session,
        message: str,
        *,
        inputs: Iterable[Input] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Commit what was done in a writable session of `repo`, with its provenance.

        Parameters
        ----------
        metadata
            Kept in the commit beside what Amasia keeps there.

        Returns
        -------
        str
            Id of the new snapshot.
        """
        self._writing()
        asked = origins.commit_request(self.record.workspace, message, session.branch or "main", tuple(inputs))
        provenance = connect().post(self._commits, asked, Provenance)
        kept = {**(metadata or {}), "amasia": provenance.model_dump(mode="json")}
        try:
            snapshot = stores.commit(self._source, session, message, kept)
        except errors.Conflict:
            self._report(provenance.commit_id, "")
            raise
        self._report(provenance.commit_id, snapshot)
        return snapshot

    def _commit(
        self,
        change: Callable[[icechunk.Session], None],
        message: str,
        branch: str,
        inputs: tuple[Input, ...],
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        self._writing()
        with translated(self._source):
            session = self.repo.writable_session(branch)
            change(session)
        return self.commit(session, message, inputs=inputs, metadata=metadata)

    def _report(self, commit_id: str, snapshot: str) -> None:
        """What came of a commit. It is made or refused whatever comes now: the control plane also reads the history."""
        with suppress(errors.AmasiaError):
            connect().put(f"{self._commits}/{commit_id}", CommitDone(snapshot=snapshot), Commit)


def open_repo(name: str, mode: Mode = "read") -> Repository:
    """Open a repository.

    Parameters
    ----------
    name
        ``workspace/repository``, with or without ``amasia://`` before it.
    mode
        ``"read"`` or ``"write"``: which rights are asked for.

    Raises
    ------
    NotFound, PermissionDenied, StoreDown
    """
    workspace, repository = split_repository(name)
    return Repository(repositories.ready(workspace, repository), mode)


def _claimed(snapshot: stores.Snapshot) -> Provenance | None:
    """What a commit says of itself."""
    try:
        return Provenance.model_validate(snapshot.metadata.get("amasia"))
    except ValidationError:  # made by another tool, which may have written anything there
        return None


def _below(group: str, inner: str) -> str:
    joined = "/".join(part.strip("/") for part in (group, inner) if part.strip("/"))
    return joined or "/"


def _inputs(given: Iterable[Input] | None, datasets: Iterable[xr.Dataset]) -> tuple[Input, ...]:
    """What was given; or what the datasets were read from, each input once."""
    if given is not None:
        return tuple(given)
    return tuple(dict.fromkeys(found for ds in datasets for found in lineage.inputs(ds)))
