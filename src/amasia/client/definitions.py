"""Views as their author writes them: a decorated function that can be planned, deployed and refreshed."""

import base64
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import xarray as xr

from amasia import errors
from amasia.client import environments, pages, refreshes, repositories
from amasia.client import views as verbs
from amasia.client.arrays import open_repo
from amasia.client.inputs import request
from amasia.client.sizes import format_bytes, memory
from amasia.client.transport import connect
from amasia.models import repositories as repository_models
from amasia.models import views as models
from amasia.models.base import split_repository
from amasia.models.views import LONGEST_FUNCTION, Refresh, ViewKind, ViewRequest
from amasia.stores import views as engine

Function = Callable[[xr.Dataset], xr.Dataset]


class View:
    """A derived dataset that is kept current from its source's commits; `amasia.view` makes one from a function.

    It can still be called as the plain function that it was.

    Attributes
    ----------
    name
        In the workspace of its target.
    source, target
        As ``workspace/repository``.
    definition
        For `amasia.stores.views`, which needs no control plane.
    """

    def __init__(self, function: Function, source: str, target: str, name: str, definition: engine.Definition) -> None:
        update_wrapper(self, function)
        self.function = function
        self.name = name
        self.source = "/".join(split_repository(source))
        self.target = "/".join(split_repository(target))
        self.definition = definition

    @classmethod
    def load(cls, address: str) -> "View":
        """The view that ``module.py:name`` means; the name may be left out where the file has only one.

        Raises
        ------
        InvalidRequest
            There is no such file, it cannot be run, or it has no such view.
        """
        file, _, name = address.partition(".py:")
        path = Path(file if file.endswith(".py") else f"{file}.py")
        if not path.is_file():
            raise errors.InvalidRequest(f"There is no file {path}.", cure="Write it as module.py:view.")
        found = {key: value for key, value in vars(_run(path)).items() if isinstance(value, cls)}
        if not name and len(found) == 1:
            return next(iter(found.values()))
        if name not in found:
            raise errors.InvalidRequest(
                f"{path} has no view {name!r}; it has: {', '.join(found) or 'none'}.",
                cure=f"Write it as {path}:NAME, where NAME is decorated with @amasia.view.",
            )
        return found[name]

    def __call__(self, ds: xr.Dataset) -> xr.Dataset:
        return self.function(ds)

    def __repr__(self) -> str:
        return f"<View {self.full_name}: {self.source} to {self.target} along {self.definition.along}>"

    def _repr_html_(self) -> str:
        try:
            return pages.view(self.status(), list(self.refreshes(5)))
        except errors.NotFound:
            return pages.undeployed_view(self.full_name, self.source, self.target)

    @property
    def workspace(self) -> str:
        return self.target.partition("/")[0]

    @property
    def full_name(self) -> str:
        return f"{self.workspace}/{self.name}"

    def plan(self) -> engine.Plan:
        """Which output region depends on which input region, by the source as it is now.

        Raises
        ------
        ViewRefused
            Names the operation for which that cannot be proven.
        NotFound
            The source has no such group yet.
        """
        try:
            ds = open_repo(self.source).to_xarray(self.definition.source_group)
        except errors.NotFound as error:
            later = "If a view is to fill it, wait for that one's first refresh: `amasia view list` tells."
            raise errors.NotFound(error.message, cure=f"{error.cure} {later}") from error
        return engine.plan(self.definition, ds)

    def deploy(
        self,
        *,
        trigger: str = "commit",
        schedule: str = "",
        workers: int = 0,
        worker_memory: str | int = 0,
        location: str | None = None,
        environment: str | None = None,
        progress: Callable[[str], None] = lambda message: None,
    ) -> models.View:
        """Register it at the control plane, which keeps it current from now on.

        Parameters
        ----------
        trigger
            ``"commit"`` for each commit of the source, ``"schedule"``, or ``"manual"``.
        schedule
            Cron's five fields in UTC, such as ``"0 3 * * *"``.
        workers
            Of the Dask cluster that refreshes it; 0 for one machine alone.
        worker_memory
            Of each worker, or of the one machine: ``"4 GiB"`` or bytes; 0 for 1 GiB.
        location
            Where the machines come from; None for the cheapest that fits.
        environment
            Hash of one that the workspace has; None to capture that of this process.
        progress
            Called with a short phrase before each step that takes longer than a moment.

        Raises
        ------
        ViewRefused
            It cannot be proven what a change of the source changes.
        Conflict
            There is one of that name, or one that writes to that group.
        """
        progress("planning")
        plan = self.plan()
        function = self._pickled()
        if environment is None:
            environment = self._environment(progress)
        body = request(
            ViewRequest,
            name=self.name,
            source=self.source,
            source_group=self.definition.source_group,
            target=self.target,
            target_group=self.definition.target_group,
            along=self.definition.along,
            kind=plan.kind,
            plan=plan.text,
            function=function,
            environment_hash=environment,
            trigger=trigger,
            schedule=schedule,
            workers=workers,
            worker_memory=memory(worker_memory),
            location=location,
        )
        self._make_target()
        return verbs.create(body, self.workspace)

    def refresh(self) -> Refresh:
        """Bring the target to the source's newest snapshot, in this process. It has to be deployed before."""
        return refreshes.here(self.full_name)

    def status(self) -> models.View:
        """How far it is behind, and why."""
        return verbs.get(self.full_name)

    def refreshes(self, limit: int = 20) -> list[Refresh]:
        """The last ``limit`` refreshes, newest first: what was computed and skipped, and what it cost."""
        return [one for one, _ in zip(verbs.refreshes(self.full_name), range(limit), strict=False)]

    def _pickled(self) -> str:
        """The definition with the whole module that the function is from, so that machines need no copy of it."""
        module = sys.modules.get(self.function.__module__)
        known = module is not None and module.__name__ != "__main__"
        if known:
            cloudpickle.register_pickle_by_value(module)
        try:
            text = base64.b64encode(cloudpickle.dumps(self.definition)).decode()
        except Exception as error:
            raise errors.InvalidRequest(
                f"The function of {self.full_name} cannot be sent ({type(error).__name__}: {error}).",
                cure="Open files and make connections inside of it.",
            ) from error
        finally:
            if known:
                cloudpickle.unregister_pickle_by_value(module)
        if len(text) > LONGEST_FUNCTION:
            raise errors.InvalidRequest(
                f"The function of {self.full_name} is {format_bytes(len(text) * 3 // 4)} with all that it holds, and "
                "at most 1 MiB is taken.",
                cure="Keep data out of it: in a repository, or in the package that it imports.",
            )
        return text

    def _environment(self, progress: Callable[[str], None]) -> str:
        file = inspect.getsourcefile(self.function)
        script = Path(file) if file and Path(file).exists() else None
        captured = environments.capture_here(script=script, progress=progress)
        for warning in captured.warnings:
            progress(warning)
        return environments.ensure(connect(), self.workspace, captured, progress)

    def _make_target(self) -> None:
        try:
            connect().get(repositories.path(*split_repository(self.target)), repository_models.Repository)
        except errors.NotFound:
            repositories.create(self.target, description=f"The view {self.full_name} of {self.source}")


def view(
    *,
    source: str,
    target: str,
    along: str,
    name: str | None = None,
    kind: ViewKind | str | None = None,
    source_group: str = "/",
    target_group: str = "/",
    chunks: dict[str, int] | None = None,
    **declared: Any,
) -> Callable[[Function], View]:
    """Make a derived dataset of a function from dataset to dataset.

    Parameters
    ----------
    source, target
        As ``workspace/repository``. The view is in the target's workspace.
    along
        The dimension that the source grows along.
    name
        None for the function's.
    kind
        How an output region depends on input regions; None to have it recognised.
    source_group, target_group
        Paths in the repositories.
    chunks
        Stored chunk lengths of the target by dimension.
    **declared
        What depends on what, where that cannot be recognised: see `amasia.stores.views.define`.

    Examples
    --------
    >>> @amasia.view(source="demo/reanalysis", target="demo/monthly", along="time")  # doctest: +SKIP
    ... def monthly(ds):
    ...     return ds.resample(time="MS").mean()
    >>> monthly.plan()  # doctest: +SKIP
    >>> monthly.deploy()  # doctest: +SKIP
    """

    def decorate(function: Function) -> View:
        definition = engine.define(
            function,
            along=along,
            kind=ViewKind(kind) if kind else None,
            source_group=source_group,
            target_group=target_group,
            chunks=chunks,
            **declared,
        )
        return View(function, source, target, name or function.__name__.lower().strip("_<>"), definition)

    return decorate


def _run(path: Path) -> ModuleType:
    """A file as a module; what lies beside it can be imported, as if it were a script."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise errors.InvalidRequest(
            f"{path} cannot be run ({type(error).__name__}: {error}).", cure=f"Does this work? python {path}"
        ) from error
    return module
