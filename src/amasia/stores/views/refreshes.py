"""Bring a target to its source's commits: what was touched is computed, and committed with what it was made from."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import icechunk
import numpy as np
import xarray as xr

from amasia import errors
from amasia.models.views import Applied
from amasia.stores.failures import translated
from amasia.stores.views import bins, changes, declarations, pieces, running
from amasia.stores.views.axes import Declared, Grid, Range
from amasia.stores.views.changes import Change
from amasia.stores.views.definitions import Definition
from amasia.stores.views.outputs import Otherwise, Target
from amasia.stores.views.plans import Plan, plan
from amasia.stores.views.running import Side
from amasia.stores.views.snapshots import Snapshot
from amasia.stores.views.states import FORMAT, Memory

type Commit = Callable[[icechunk.Session, str, dict[str, Any]], str]

_TRIES = 20
"""Of commits that met another one on the same branch."""
_WIDER = 5
"""Of computing everything anew because a dtype turned out to be too narrow."""


@dataclass
class _Work:
    """One refresh, from one source snapshot to another."""

    definition: Definition
    plan: Plan
    memory: Memory
    target: Target
    new: Snapshot
    computed: list[str]
    nbytes_read: int = 0


def applied(target: icechunk.Repository, view: str) -> str:
    """The source snapshot that a target holds; empty when it was never made."""
    with translated():
        return Memory(target.readonly_session("main"), view, writable=False).snapshot


def refresh(
    source: icechunk.Repository,
    target: icechunk.Repository,
    definition: Definition,
    *,
    view: str,
    source_name: str,
    commit: Commit,
    branch: str = "main",
    until: str | None = None,
    coalesce: bool = True,
) -> list[Applied]:
    """Apply the source's commits that the target does not hold yet, in order, each exactly once.

    The result, the running states and the id of the source's snapshot are one commit. Whoever loses a race for it
    looks again, and finds that it was done.

    Parameters
    ----------
    source, target
        Two repositories, or one with two groups.
    view
        Names the view in the target: a path segment.
    source_name
        What the source is called in the metadata of commits.
    commit
        Makes a session's changes the newest snapshot of its branch and gives its id: (session, message, metadata).
    until
        A snapshot of the source; None for its newest.
    coalesce
        Several source commits may be applied in one commit. All are recorded.

    Raises
    ------
    ViewRefused
        The function cannot be kept current, or the source no longer fits it.
    Conflict
        The target's group holds something that this view did not make; or others commit all the time.
    """
    done: list[Applied] = []
    tries = 0
    while tries < _TRIES:
        with translated():
            session = target.writable_session(branch)
            memory = Memory(session, view)
            pending = _pending(source, branch, until, memory.snapshot)
        if not pending:
            return done
        known = bool(memory.snapshot) and pending[0][1]
        wanted = [one for one, _ in pending] if coalesce or not known else [pending[0][0]]
        begun = time.monotonic()
        try:
            done += _apply(source, session, memory, definition, wanted, known, view, source_name, commit, begun)
        except (errors.Conflict, icechunk.ConflictError) as error:
            if isinstance(error, _Occupied):
                raise
            tries += 1
            continue
        except _NothingYet:
            return done
        if len(wanted) == len(pending):
            return done
        tries = 0
    raise errors.Conflict(
        f"Others committed to branch {branch!r} of the target each time that view {view} was to be.",
        cure="Refresh it again when they are done.",
    )


class _Occupied(errors.Conflict):
    pass


class _NothingYet(Exception):
    pass


def _pending(source: icechunk.Repository, branch: str, until: str | None, held: str) -> list[tuple[str, bool]]:
    """Source snapshots that are to be applied, oldest first, and whether they continue what the target holds."""
    start = {"snapshot_id": until} if until else {"branch": branch}
    found: list[str] = []
    for info in source.ancestry(**start):
        if info.id == held:
            return [(one, True) for one in reversed(found)]
        found.append(info.id)
    if until and held and until in _before(source, held):
        return []  # the target is ahead of it
    return [(found[0], False)]


def _before(source: icechunk.Repository, snapshot: str) -> set[str]:
    try:
        return {info.id for info in source.ancestry(snapshot_id=snapshot)}
    except icechunk.IcechunkError:  # expired
        return set()


def _apply(
    source: icechunk.Repository,
    session: icechunk.Session,
    memory: Memory,
    definition: Definition,
    wanted: list[str],
    known: bool,
    view: str,
    source_name: str,
    commit: Commit,
    begun: float,
) -> list[Applied]:
    held, newest = memory.snapshot, wanted[-1]
    new = Snapshot(source.readonly_session(snapshot_id=newest), definition.source_group, definition.along)
    if not new.exists():
        if not held:
            raise _NothingYet
        raise errors.ViewRefused(
            f"{source_name}@{newest} has no group {definition.source_group!r} any more.",
            cure="Write it again, or delete the view.",
        )
    found = plan(definition, new.empty())
    target = Target(session, definition.target_group, definition.chunks)
    if not held and target.arrays:
        raise _Occupied(
            f"Group {definition.target_group!r} of the target has data already, which this view did not make.",
            cure="Give the view a group or a repository of its own.",
        )
    work = _Work(definition, found, memory, target, new, [])
    change = _change(source, memory, found, new, held if known else "")
    change = _tried(source, work, change)
    memory.facts |= {"view": view, "source": source_name, "snapshot": newest, "digest": found.digest, "format": FORMAT}
    memory.facts["rows"] = new.size
    memory.save()
    said = {"view": view, "source": source_name, "snapshot": newest, "before": held, "snapshots": wanted}
    message = f"View {definition.name}: {source_name}@{newest}"
    made = commit(session, message, {"view": said})
    return _told(work, change, wanted, held, made, time.monotonic() - begun)


def _change(source: icechunk.Repository, memory: Memory, found: Plan, new: Snapshot, held: str) -> Change:
    if not memory.snapshot:
        return Change(whole="it is made for the first time")
    if not held:
        return Change(whole="what the target holds is not in the source's history: it was reset or expired")
    if memory.facts.get("format") != FORMAT:
        return Change(whole="another version of Amasia made what the target remembers")
    if memory.facts.get("digest") != found.digest:
        return Change(whole="the view's function is another")
    try:
        old = Snapshot(source.readonly_session(snapshot_id=held), new.group, new.along)
        change = changes.between(source, old, new, found.wanted)
    except icechunk.IcechunkError as error:
        return Change(whole=f"the source's old snapshot cannot be read ({str(error).splitlines()[0]})")
    if change.attributes and found.declared:
        return Change(whole="attributes changed, and a declared function may look at them", nbytes=change.nbytes)
    return change


def _tried(source: icechunk.Repository, work: _Work, change: Change) -> Change:
    """`_bring`, where what the view's function raises is told as such."""
    try:
        with translated():
            return _bring(source, work, change)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, NotImplementedError) as error:
        if isinstance(error, icechunk.IcechunkError):
            raise
        raise errors.ViewRefused(
            f"{work.definition.name} cannot be computed from this source: {type(error).__name__}: {error}.",
            cure="Try the function on the source's dataset itself.",
        ) from error


def _bring(source: icechunk.Repository, work: _Work, change: Change) -> Change:
    """Bring the target up to a change; the change as it was done, which may be a whole one."""
    work.nbytes_read += change.nbytes
    if not change.whole:
        try:
            _part(source, work, change)
            return change
        except Otherwise as error:
            change = Change(whole=f"{error}")
    dtypes: dict[str, np.dtype[Any]] = {}
    for _ in range(_WIDER):
        try:
            _whole(work, dtypes)
            return change
        except Otherwise as error:
            if not error.dtypes:
                raise errors.ViewRefused(
                    f"The view's parts do not fit together: {error}.", cure="Let the function give one kind of result."
                ) from error
            dtypes |= error.dtypes
    raise errors.ViewRefused("The dtypes of the view's parts do not settle.", cure="Use astype in the function.")


def _whole(work: _Work, dtypes: dict[str, np.dtype[Any]]) -> None:
    work.memory.clear()
    work.target.clear()
    work.computed.clear()
    rows = work.new.size
    if not rows:
        raise errors.ViewRefused(f"The source has no rows along {work.plan.along!r}.", cure="Write some.")
    origin = bins.origin(work.plan, work.new)
    grid = Grid(rows)
    if work.plan.axis.resamples:
        grid = Grid(rows, bins.edges(work.plan, work.new, origin, 0))
        work.memory.keep_edges(grid.edges, 0)
    side = Side(work.new, grid, origin)
    if isinstance(work.plan.axis, Declared):
        declarations.check(work.plan, side)
    if work.plan.reductions:
        running.update(work.plan, work.memory, None, side, [(0, rows)])
        _write_states(work, side, None, dtypes)
    else:
        _write_rows(work, side, [(0, work.plan.axis.size(grid))], dtypes)


def _part(source: icechunk.Repository, work: _Work, change: Change) -> None:
    found, rows = work.plan, work.new.size
    if not rows:
        raise errors.ViewRefused(f"The source has no rows along {found.along!r} any more.", cure="Write some.")
    if not change.rows and not change.attributes:
        return
    old_rows = int(work.memory.facts["rows"])
    origin = bins.origin(found, work.new)
    old_grid, grid = Grid(old_rows), Grid(rows)
    touched = list(change.rows)
    if found.axis.resamples:
        old_grid = Grid(old_rows, work.memory.edges())
        grid, touched = _binned(work, old_grid, change, origin, rows)
    side = Side(work.new, grid, origin)
    if not found.reductions:
        # An empty range stands for rows that were cut off: those around it may see them no more.
        ranges = found.axis.touched(grid, touched)
        size = found.axis.size(grid)
        work.target.resize(found.along, size)
        _write_rows(work, side, ranges or ([(0, 1)] if change.attributes and size else []), {})
        return
    held = Snapshot(
        source.readonly_session(snapshot_id=work.memory.snapshot), work.definition.source_group, found.along
    )
    before = [groups.alive for groups in _groups(work)]
    labels = running.update(found, work.memory, Side(held, old_grid, origin), side, touched)
    work.nbytes_read += held.nbytes
    moved = before != [groups.alive for groups in _groups(work)] or change.attributes
    _write_states(work, side, None if moved else labels, {})


def _binned(work: _Work, old: Grid, change: Change, origin: Any, rows: int) -> tuple[Grid, list[Range]]:
    """Bins after a change. Where rows are new, gone, or elsewhere in time, all bins from there on are made anew."""
    if change.moved_from is None:
        return Grid(rows, old.edges), list(change.rows)
    last = max(min(change.moved_from, old.rows, rows) - 1, 0)
    kept = old.bin(last)
    grid = Grid(rows, np.concatenate([old.edges[:kept], bins.edges(work.plan, work.new, origin, int(old.edges[kept]))]))
    if not np.array_equal(grid.edges[:-1], old.edges[:-1]):
        work.memory.keep_edges(grid.edges, kept)
    return grid, [*change.rows, (last, max(old.rows, rows))]


def _write_rows(work: _Work, side: Side, ranges: list[Range], dtypes: dict[str, np.dtype[Any]]) -> None:
    found, grid = work.plan, side.grid
    size = found.axis.size(grid)
    if not size:
        made = found.compute(side.snapshot.rows(0, grid.rows, found.wanted), side.origin)
        work.target.put(made.isel({found.along: slice(0, 0)}), found.along, 0, 0, dtypes)
        return
    longest = max(pieces.TARGET // side.snapshot.row_nbytes(found.wanted), 1) * size // grid.rows
    for (start, stop), made, nbytes in pieces.each(partial(_piece, found, side), pieces.split(ranges, max(longest, 1))):
        work.nbytes_read += nbytes
        work.target.put(made, found.along, start, size, dtypes)
        work.computed.append(f"{_names(made, found.along)} {found.along}[{start}:{stop}]")


def _piece(found: Plan, side: Side, rows: Range) -> tuple[Range, xr.Dataset, int]:
    start, stop, offset = found.axis.needed(side.grid, *rows)
    ds = side.snapshot.rows(start, stop, found.wanted)
    made = found.compute(ds, side.origin)
    if found.along not in made.dims:
        raise errors.ViewRefused(
            f"The function gives nothing with {found.along!r}.",
            cure="A view has the rows of its source, or bins of them.",
        )
    if isinstance(found.axis, Declared):
        declarations.check_length(made, found.along, stop - start)
    return rows, made.isel({found.along: slice(rows[0] - offset, rows[1] - offset)}).load(), ds.nbytes


def _write_states(work: _Work, side: Side, labels: list[set[Any]] | None, dtypes: dict[str, np.dtype[Any]]) -> None:
    found = work.plan
    group = _group_dimension(work)
    local = labels is not None and group is not None and not any(not one for one in labels)
    if labels is not None and not any(labels):
        return
    made = running.result(found, work.memory, side, labels if local else None).load()
    work.nbytes_read += side.snapshot.nbytes
    dim = group if group in made.dims else None
    if not local or dim is None or dim not in made.indexes:
        total = made.sizes[dim] if dim is not None else 0
        work.target.put(made, dim, 0, total, dtypes)
        work.computed.append(_names(made, dim))
        return
    alive = _groups(work)[0].alive
    for at, label in enumerate(made.indexes[dim]):
        work.target.put(made.isel({dim: [at]}), dim, alive.index(label), len(alive), dtypes)
        work.computed.append(f"{_names(made, dim)} {dim}={label}")


def _group_dimension(work: _Work) -> str | None:
    """The dimension of groups, where each group of the result depends on that group alone."""
    result = getattr(work.plan.compute, "result", None)
    return result.by_group if result is not None else None


def _groups(work: _Work) -> list[running.Groups]:
    return [running.groups_of(work.memory, index) for index in range(len(work.plan.reductions))]


def _names(ds: xr.Dataset, dim: str | None) -> str:
    return ", ".join(str(name) for name, one in ds.data_vars.items() if dim is None or dim in one.dims)


def _told(work: _Work, change: Change, wanted: list[str], held: str, made: str, seconds: float) -> list[Applied]:
    """One line for each source commit; what was done is said of the last, with which the others went."""
    skipped = "" if work.computed else "the view reads nothing that changed"
    found = []
    for one in wanted[:-1]:
        found.append(
            Applied(
                source_snapshot=one, before=held, target_snapshot=made, skipped=f"computed together with {wanted[-1]}"
            )
        )
        held = one
    last = Applied(
        source_snapshot=wanted[-1],
        before=held,
        target_snapshot=made,
        whole=bool(change.whole),
        computed=tuple(work.computed),
        skipped=f"everything was computed: {change.whole}" if change.whole else skipped,
        nbytes_read=work.nbytes_read,
        nbytes_written=work.target.nbytes,
        seconds=seconds,
    )
    return [*found, last]
