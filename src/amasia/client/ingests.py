"""Many files into a repository: read side by side, kept in order, each applied once by its content."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, Literal

import icechunk

from amasia import errors
from amasia.stores import ingest as files
from amasia.stores import reading, sources, tasks, virtual
from amasia.stores import repositories as stores
from amasia.stores.ingest import Ingested
from amasia.stores.processes import Answer, Pool, Readers
from amasia.stores.readers.contents import DEFAULT, Options
from amasia.stores.reading import Found, Wanted

BATCH_FILES = 500
"""Of a series, in one commit."""
FEW = 4
"""Files that are not worth the start of processes."""
HELD = 384 << 20
"""Bytes of decoded files that are kept while a series is put in order; others are read again."""
TRIES = 4
"""Of a commit that lost against another one."""
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
    turn: Callable[[], AbstractContextManager[None]] = nullcontext
    """Held while a series is appended to: one ingest after the other."""


def ingest(
    target: Target,
    paths: Iterable[str | Path],
    plan: Plan,
    readers: Pool | None = None,
    tell: Callable[[Ingested | Left], None] = lambda _: None,
) -> Report:
    """Take files; see `Repository.ingest`.

    Parameters
    ----------
    readers
        Where files are read; None for processes here, started where they are worth it. Closed by whoever made it.
    tell
        Called for each file when it is settled.
    """
    if plan.append_dim is not None and plan.group is None:
        raise errors.InvalidRequest(
            f"A series along {plan.append_dim!r} needs a group to grow in: without one, each call would begin its own.",
            cure="Name it: --group air, or group='air'.",
        )
    if plan.chunks and plan.how == "virtual":
        raise errors.InvalidRequest(
            "References keep the chunks of their files, so no chunk length can be chosen.",
            cure="Leave the chunk lengths out, or take copies: --native.",
        )
    run = _Run(target, plan, tell)
    with ExitStack() as stack:
        wanted = sources.expand([paths] if isinstance(paths, str | Path) else paths)
        run.pool = readers or stack.enter_context(Readers())
        run.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="amasia-ingest-"))
        run.look_again()
        if plan.how != "native" and not plan.chunks:
            wanted = run.point(wanted)
        if plan.append_dim is None:
            run.each(wanted)
        else:
            run.series(run.ordered(wanted))
    return run.report


type One = Found | virtual.References


@dataclass(frozen=True)
class Here:
    """A file that is read in this process, when it is its turn."""

    function: Callable[[Wanted], One]
    wanted: Wanted

    def result(self) -> One:
        answer: One | errors.AmasiaError = reading.answered(self.function, self.wanted)
        if isinstance(answer, errors.AmasiaError):
            raise answer
        return answer


class _Run:
    """One ingest on its way."""

    def __init__(self, target: Target, plan: Plan, tell: Callable[[Ingested | Left], None]) -> None:
        self.target, self.plan, self._tell = target, plan, tell
        self.report = Report()
        self.pool: Pool
        self.folder: str
        self.applied: dict[tuple[str, str], str] = {}
        """Files that the branch holds: digest and group, to the snapshot that took it."""
        self._known: set[str] = set()
        """Snapshots that were looked at."""
        self.here: set[tuple[str, str]] = set()
        """What was found in this very run."""

    def look_again(self) -> None:
        """What was committed since the last look."""
        for snapshot in stores.history(self.target.repo, until=self._known):
            self._known.add(snapshot.id)
            self.applied = _files(snapshot) | self.applied

    def each(self, wanted: Sequence[str]) -> None:
        """One commit for each file; the next ones are read while one is written."""
        for source, look in self._looks(self._read, wanted):
            found = self._result(source, look)
            if found is not None:
                self._take([found])

    def series(self, ordered: Iterable[One]) -> None:
        """A commit for each batch, while no other ingest appends."""
        batches = self._batches(ordered)
        batch = next(batches, None)
        if batch is None:
            return
        with self.target.turn():
            self.look_again()
            while batch is not None:
                self._take([one for one in batch if not self._is_there(one)])
                batch = next(batches, None)

    def _batches(self, ordered: Iterable[One]) -> Iterator[list[One]]:
        batch: list[One] = []
        size = 0
        for one in ordered:
            alone = isinstance(one, Found) and one.contents is None
            nbytes = one.nbytes if isinstance(one, Found) else 0
            if batch and (alone or size + nbytes > self.pool.batch_bytes or len(batch) == BATCH_FILES):
                yield batch
                batch, size = [], 0
            batch.append(one)
            size += nbytes
            if alone:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def ordered(self, wanted: Sequence[str]) -> Iterator[Found]:
        """Files by the first value of the coordinate; what was too much to be kept is read again in that order."""
        if self.plan.order == "given" or len(wanted) < 2:
            self.report.order = self.report.order or "as given"
            looks = self._looks(self._read, wanted)
            return (found for source, look in looks if (found := self._result(source, look)) is not None)
        seen: list[Found] = []
        held = 0
        for source, look in self._looks(self._read, wanted, held=reading.SMALL, spill=""):
            found = self._result(source, look)
            if found is None:
                continue
            held += found.nbytes if found.contents is not None and not self.pool.lazy else 0
            seen.append(found if held <= HELD else replace(found, contents=None))
        return self._again(self._sorted(seen))

    def _again(self, ordered: Sequence[Found]) -> Iterator[Found]:
        again = self._looks(self._read, [found.source for found in ordered if found.contents is None])
        for found in ordered:
            if found.contents is not None:
                yield found
            elif (second := self._result(*next(again), again=True)) is not None:
                yield second

    def _sorted[T: (Found, virtual.References)](self, seen: list[T]) -> list[T]:
        if self.plan.order == "given" or len(seen) < 2:
            return seen
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
        for source, look in self._looks(virtual.look, wanted):
            references = self._references(source, look)
            if references is not None:
                found.append(references)
            elif self.plan.how == "auto":
                left.append(source)
        if left and self.plan.append_dim is not None:
            self.here.clear()
            return list(wanted)  # a series is one or the other
        if found:
            self.target.name_prefixes({prefix for references in found for prefix in references.prefixes})
        if self.plan.append_dim is None:
            for references in found:
                self._take([references])
        else:
            self.series(self._sorted(found))
        return left

    def _references(self, source: str, look: Answer) -> virtual.References | None:
        """None for what is to be copied, is there already, or was refused."""
        found: virtual.References | None
        if self.plan.how == "virtual":
            found = self._result(source, look)
            return found
        try:
            found = look.result()
        except (errors.DataRejected, errors.NotFound):
            return None
        return found if virtual.smallest_chunk(found) >= virtual.SMALL_CHUNK else None

    @property
    def _read(self) -> Callable[[Wanted], Found]:
        return tasks.look if self.pool.lazy else reading.look

    def _looks(
        self, function: Callable[[Wanted], One], wanted: Sequence[str], **changes: Any
    ) -> Iterator[tuple[str, Answer]]:
        """Files in order, read ahead by others; a few that need no process of their own are read here."""
        asked = [replace(self._wanted(source), **changes) for source in wanted]
        if self.pool.lazy or len(wanted) >= FEW:
            yield from ((one.source, answer) for one, answer in self.pool.map(function, asked))
            return
        # Those that go to a process first: they are read while this one reads the others.
        looks: list[tuple[str, Answer]] = [
            (one.source, self.pool.submit(function, one) if reading.is_apart(one.source) else Here(function, one))
            for one in asked
        ]
        yield from looks

    def _wanted(self, source: str) -> Wanted:
        group = files.base_group(source, self.plan.group)
        known = frozenset(digest for digest, where in self.applied if where == group)
        return Wanted(source, self.plan.options, self.plan.append_dim, known, spill=self.folder)

    def _result(self, source: str, look: Answer, again: bool = False) -> Any:
        """What was read; None when it was refused or is there already."""
        try:
            found = look.result()
        except (errors.DataRejected, errors.NotFound) as error:
            self.refuse(source, error)
            return None
        if self._is_there(found):
            return None
        if self._key(found) in self.here and not again:
            self.skip(found)
            return None
        self.here.add(self._key(found))
        return found

    def _key(self, one: One) -> tuple[str, str]:
        return one.digest, files.base_group(one.source, self.plan.group)

    def _is_there(self, one: One) -> bool:
        """Whether a commit holds it; then it is skipped."""
        if self._key(one) not in self.applied:
            return False
        self.skip(one)
        return True

    def _take(self, batch: Sequence[One], tries: int = TRIES) -> None:
        """One commit. A batch that is refused is tried file by file, so that only the wrong ones stay out."""
        if not batch:
            return
        try:
            self._commit(batch)
        except (errors.DataRejected, errors.Conflict) as error:
            self.look_again()
            left = [one for one in batch if not self._is_there(one)]
            lost = "snapshot" in error.detail  # against somebody's commit, which may be followed by this one
            if len(left) < len(batch) or (lost and tries > 1):
                self._take(left, tries - 1)
            elif lost:
                raise
            elif len(batch) == 1:
                self.refuse(batch[0].source, error)
            else:
                for one in batch:
                    self._take([one])

    def _commit(self, batch: Sequence[One]) -> None:
        done: list[Ingested] = []

        def change(session: icechunk.Session) -> None:
            done.extend(self._put(session, batch))

        snapshot = self.target.commit(change, self._message(batch), self.metadata(batch))
        self.finish(done, snapshot)

    def _put(self, session: icechunk.Session, batch: Sequence[One]) -> list[Ingested]:
        group, dim = self.plan.group, self.plan.append_dim
        references = [one for one in batch if isinstance(one, virtual.References)]
        if references:
            return virtual.put(session, references, group, dim)
        with ExitStack() as stack:
            opened = [files.opened(one, self.plan.options) for one in batch if isinstance(one, Found)]
            found = [stack.enter_context(one) for one in opened]
            return files.put(session, found, group, dim, self.plan.chunks, self.pool.scheduler)

    def _message(self, batch: Sequence[One]) -> str:
        names = [Path(one.source).name for one in batch]
        verb = "Refer to" if isinstance(batch[0], virtual.References) else "Ingest"
        return f"{verb} {names[0]}" if len(names) == 1 else f"{verb} {len(names)} files, {names[0]} … {names[-1]}"

    def metadata(self, batch: Sequence[One]) -> dict[str, Any]:
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
            taken = replace(one, snapshot=snapshot, why=self.why(one))
            self.report.taken.append(taken)
            self._tell(taken)

    def why(self, one: Ingested) -> str:
        if one.how == self.plan.how:
            return "asked for"
        return "its chunks can be read where they are" if one.how == "virtual" else virtual.why_native(one.path)

    def skip(self, one: One) -> None:
        snapshot = self.applied.get(self._key(one))
        where = f"was taken before, in snapshot {snapshot}" if snapshot else "is in another of these files"
        self.report.skipped.append(Left(one.source, f"The same content {where}."))
        self._tell(self.report.skipped[-1])

    def refuse(self, source: str, error: errors.AmasiaError) -> None:
        if not self.plan.keep_going:
            raise error
        self.report.refused.append(Left(source, error.message, error.kind, error.cure))
        self._tell(self.report.refused[-1])


def _files(snapshot: stores.Snapshot) -> dict[tuple[str, str], str]:
    entries = snapshot.metadata.get(KEY, ())
    return {(str(entry.get("sha256")), str(entry.get("group"))): snapshot.id for entry in entries}


def _first(found: One) -> Any:
    return found.first[1] if found.first else None
