"""Many files into a repository: read side by side, kept in order, each applied once by its content."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, Literal, Protocol

import icechunk

from amasia import errors
from amasia.stores import ingest as files
from amasia.stores import reading, sources, virtual
from amasia.stores import repositories as stores
from amasia.stores.ingest import Ingested
from amasia.stores.processes import Readers
from amasia.stores.readers.contents import DEFAULT, Options
from amasia.stores.reading import Found, Wanted

BATCH_BYTES = 128 << 20
"""Of a series, decoded, that one commit holds."""
BATCH_FILES = 500
FEW = 4
"""Files that are not worth the start of processes."""
HELD = 384 << 20
"""Bytes of decoded files that are kept while a series is put in order; others are read again."""
KEY = "files"
"""In a commit's metadata: which files it holds, by content."""

How = Literal["auto", "native", "virtual"]
type Change = Callable[[icechunk.Session], None]
type Commit = Callable[[Change, str, Mapping[str, Any]], str]
"""Makes one commit of a change: the change, a message, metadata; gives the snapshot's id."""


@dataclass(frozen=True)
class Left:
    """A file that was not taken."""

    path: str
    reason: str
    kind: str = ""
    """Of the error; empty for a file that was there already."""
    cure: str = ""


@dataclass
class Report:
    """What became of each file."""

    taken: list[Ingested] = field(default_factory=list)
    skipped: list[Left] = field(default_factory=list)
    """There already, by content."""
    refused: list[Left] = field(default_factory=list)
    order: str = ""
    """How the files of a series were ordered."""

    def __str__(self) -> str:
        return f"{len(self.taken)} taken, {len(self.skipped)} skipped, {len(self.refused)} refused"

    def _repr_html_(self) -> str:
        rows = [("taken", one.path, f"{', '.join(one.groups)}: {one.format}, {one.how}") for one in self.taken]
        rows += [("skipped", one.path, one.reason) for one in self.skipped]
        rows += [("refused", one.path, one.reason) for one in self.refused]
        lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[:200])
        return f"<b>{escape(str(self))}</b><table>{lines}</table>"


@dataclass(frozen=True)
class Plan:
    """How files are taken; the parameters of `ingest`."""

    group: str | None = None
    append_dim: str | None = None
    chunks: Mapping[str, int] | None = None
    how: How = "auto"
    options: Options = DEFAULT
    keep_going: bool = False
    order: Literal["coordinate", "given"] = "coordinate"


@dataclass(frozen=True)
class Target:
    """Where files go."""

    repo: icechunk.Repository
    commit: Commit
    name_prefixes: Callable[[Iterable[str]], None]
    """Lets the repository refer to what is below some prefixes."""


def ingest(
    target: Target,
    paths: Iterable[str | Path],
    plan: Plan,
    readers: Readers | None = None,
    tell: Callable[[Ingested | Left], None] = lambda _: None,
) -> Report:
    """Take files; see `Repository.ingest`.

    Parameters
    ----------
    readers
        Processes to read with; None to start some where they are worth it. Closed by whoever made them.
    tell
        Called for each file when it is settled.
    """
    run = _Run(target, plan, tell)
    with ExitStack() as stack:
        wanted = sources.expand(paths)
        run.readers = readers or stack.enter_context(Readers())
        run.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="amasia-ingest-"))
        run.applied = applied(target.repo)
        if plan.how != "native":
            wanted = run.point(wanted)
        if plan.append_dim is None:
            run.each(wanted)
        else:
            run.series(wanted)
    return run.report


def applied(repo: icechunk.Repository, branch: str = "main") -> dict[tuple[str, str], str]:
    """Which files a branch holds: (digest, group) to the snapshot that took it."""
    found: dict[tuple[str, str], str] = {}
    for snapshot in stores.history(repo, branch):
        for entry in snapshot.metadata.get(KEY, ()):
            found.setdefault((str(entry.get("sha256")), str(entry.get("group"))), snapshot.id)
    return found


class Look(Protocol):
    """A file that is being read."""

    def result(self) -> Found: ...


@dataclass(frozen=True)
class Here:
    """A file that is read in this process, when it is its turn."""

    wanted: Wanted

    def result(self) -> Found:
        return reading.look(self.wanted)


class _Run:
    """One ingest on its way."""

    def __init__(self, target: Target, plan: Plan, tell: Callable[[Ingested | Left], None]) -> None:
        self.target, self.plan, self._tell = target, plan, tell
        self.report = Report()
        self.readers: Readers
        self.folder: str
        self.applied: dict[tuple[str, str], str] = {}
        self.here: set[tuple[str, str]] = set()
        """What was found in this very run."""

    def each(self, wanted: Sequence[str]) -> None:
        """One commit for each file; the next ones are read while one is written."""
        for source, future in self._looks(wanted):
            found = self._result(source, future)
            if found is not None:
                self._take([found])

    def series(self, wanted: Sequence[str]) -> None:
        """A commit for each batch, in the order of the coordinate."""
        batch: list[Found] = []
        size = 0
        for found in self._ordered(wanted):
            if batch and (size + found.nbytes > BATCH_BYTES or len(batch) == BATCH_FILES or found.contents is None):
                self._take(batch)
                batch, size = [], 0
            batch.append(found)
            size += found.nbytes
            if found.contents is None:
                self._take(batch)
                batch, size = [], 0
        if batch:
            self._take(batch)

    def _ordered(self, wanted: Sequence[str]) -> Iterator[Found]:
        """Files by the first value of the coordinate; what was too much to be kept is read again in that order."""
        if self.plan.order == "given" or len(wanted) < 2:
            self.report.order = "as given"
            looks = self._looks(wanted)
            yield from (found for source, future in looks if (found := self._result(source, future)) is not None)
            return
        seen: list[Found] = []
        held = 0
        for source, future in self._looks(wanted, held=reading.SMALL, spill=""):
            found = self._result(source, future)
            if found is None:
                continue
            held += found.nbytes if found.contents is not None else 0
            seen.append(found if held <= HELD else replace(found, contents=None))
        ordered = self._sorted(seen)
        again = self._looks([found.source for found in ordered if found.contents is None])
        for found in ordered:
            if found.contents is not None:
                yield found
            elif (second := self._result(*next(again), again=True)) is not None:
                yield second

    def _sorted(self, seen: list[Found]) -> list[Found]:
        kinds = {found.first[0] for found in seen if found.first}
        if len(kinds) != 1:
            self.report.order = f"as given: {self.plan.append_dim} has no coordinate that all files share"
            return seen
        self.report.order = f"by the first {self.plan.append_dim} of each file"
        # Files without that coordinate come last, and are refused there.
        told = [found for found in seen if found.first]
        return sorted(told, key=_first) + [found for found in seen if not found.first]

    def point(self, wanted: Sequence[str]) -> list[str]:
        """Take as references what was asked to be, or what is worth it; the files that are left to be copied."""
        if self.plan.how == "auto" and not any(map(sources.is_remote, wanted)):
            return list(wanted)
        found: list[virtual.References] = []
        left: list[str] = []
        for source in wanted:
            references = self._references(source)
            if references is not None:
                found.append(references)
            elif self.plan.how == "auto":
                left.append(source)
        if left and self.plan.append_dim is not None:
            return list(wanted)  # a series is one or the other
        if found:
            self.target.name_prefixes({references.prefix for references in found})
        for references in self._in_order(found):
            self._take_references(references)
        return left

    def _references(self, source: str) -> virtual.References | None:
        """None for what is to be copied, is there already, or was refused."""
        try:
            with sources.at_hand(source) as path:
                digest = sources.digest(path)
            snapshot = self.applied.get((digest, files.base_group(source, self.plan.group)))
            if snapshot is not None:
                self.skip(source, snapshot)
                return None
            references = virtual.look(source, digest, self.plan.append_dim)
        except (errors.DataRejected, errors.NotFound) as error:
            if self.plan.how == "virtual":
                self.refuse(source, error)
            return None
        small = virtual.smallest_chunk(references) < virtual.SMALL_CHUNK
        return None if self.plan.how == "auto" and small else references

    def _in_order(self, found: list[virtual.References]) -> list[virtual.References]:
        dim = self.plan.append_dim
        if dim is None or self.plan.order == "given" or len(found) < 2:
            return found
        firsts = [reading.first(references.groups, dim) for references in found]
        if None in firsts or len({one[0] for one in firsts if one}) != 1:
            return found
        self.report.order = f"by the first {dim} of each file"
        pairs = sorted(zip(firsts, range(len(found)), strict=True), key=lambda pair: (pair[0] or ("",))[1:])
        return [found[index] for _, index in pairs]

    def _take_references(self, found: virtual.References) -> None:
        done: list[Ingested] = []

        def change(session: icechunk.Session) -> None:
            done.append(virtual.put(session, found, self.plan.group, self.plan.append_dim))

        why = "asked for" if self.plan.how == "virtual" else "its chunks can be read where they are"
        try:
            snapshot = self.target.commit(change, f"Refer to {Path(found.source).name}", self.metadata([found]))
        except errors.DataRejected as error:
            self.refuse(found.source, error)
            return
        self.finish([replace(one, why=why) for one in done], snapshot)

    def _looks(self, wanted: Sequence[str], **changes: Any) -> Iterator[tuple[str, "Look"]]:
        """Files in order, read ahead by other processes; a few that need no process of their own are read here."""
        few = len(wanted) < FEW
        asked = [replace(self._wanted(source), **changes) for source in wanted]
        if not few:
            yield from ((one.source, future) for one, future in self.readers.map(asked))
            return
        # Those that go to a process first: they are read while this one reads the others.
        looks: list[tuple[str, Look]] = [
            (one.source, self.readers.submit(one) if reading.is_apart(one.source) else Here(one)) for one in asked
        ]
        yield from looks

    def _wanted(self, source: str) -> Wanted:
        group = files.base_group(source, self.plan.group)
        known = frozenset(digest for digest, where in self.applied if where == group)
        return Wanted(source, self.plan.options, self.plan.append_dim, known, spill=self.folder)

    def _result(self, source: str, look: "Look", again: bool = False) -> Found | None:
        """What was read; None when it was refused or is there already."""
        try:
            found = look.result()
        except (errors.DataRejected, errors.NotFound) as error:
            self.refuse(source, error)
            return None
        key = (found.digest, files.base_group(source, self.plan.group))
        if key in self.applied or (key in self.here and not again):
            self.skip(source, self.applied.get(key, ""))
            return None
        self.here.add(key)
        return found

    def _take(self, batch: Sequence[Found]) -> None:
        """One commit. A batch that is refused is tried file by file, so that only the wrong ones stay out."""
        try:
            self._commit(batch)
        except (errors.DataRejected, errors.Conflict) as error:
            if isinstance(error, errors.Conflict) and "has data already" not in error.message:
                raise
            if len(batch) == 1:
                self.refuse(batch[0].source, error)
                return
            for found in batch:
                self._take([found])

    def _commit(self, batch: Sequence[Found]) -> None:
        done: list[Ingested] = []

        def change(session: icechunk.Session) -> None:
            with ExitStack() as stack:
                found = [stack.enter_context(files.opened(one, self.plan.options)) for one in batch]
                done.extend(files.put(session, found, self.plan.group, self.plan.append_dim, self.plan.chunks))

        self.finish(done, self.target.commit(change, self._message(batch), self.metadata(batch)))

    def _message(self, batch: Sequence[Found]) -> str:
        names = [Path(found.source).name for found in batch]
        return f"Ingest {names[0]}" if len(names) == 1 else f"Ingest {len(names)} files, {names[0]} … {names[-1]}"

    def metadata(self, batch: Sequence[Found | virtual.References]) -> dict[str, Any]:
        return {
            KEY: [
                {
                    "sha256": found.digest,
                    "name": Path(found.source).name,
                    "group": files.base_group(found.source, self.plan.group),
                }
                for found in batch
            ]
        }

    def finish(self, done: Iterable[Ingested], snapshot: str) -> None:
        for one in done:
            taken = replace(one, snapshot=snapshot, why=one.why or self.why(one.path))
            self.report.taken.append(taken)
            self._tell(taken)

    def why(self, source: str) -> str:
        return "asked for" if self.plan.how == "native" else virtual.why_native(source)

    def skip(self, source: str, snapshot: str) -> None:
        where = f"was taken before, in snapshot {snapshot}" if snapshot else "is in another of these files"
        self.report.skipped.append(Left(source, f"The same content {where}."))
        self._tell(self.report.skipped[-1])

    def refuse(self, source: str, error: errors.AmasiaError) -> None:
        if not self.plan.keep_going:
            raise error
        self.report.refused.append(Left(source, error.message, error.kind, error.cure))
        self._tell(self.report.refused[-1])


def _first(found: Found) -> Any:
    return found.first[1] if found.first else None
