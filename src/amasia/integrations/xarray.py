"""``xr.open_dataset("amasia://demo/reanalysis", engine="amasia")``.

Light to import: Xarray loads the modules of all engines whenever it has to find the one for some file.
"""

from collections.abc import Iterable
from typing import Any

# Xarray loads all engines in the order of their names: PROJ has to come before cfgrib's ecCodes, or the process aborts
# when it ends.
import pyproj  # noqa: F401
import xarray as xr
from xarray.backends import BackendEntrypoint


class AmasiaBackend(BackendEntrypoint):
    """Opens ``amasia://workspace/repository[@branch, tag, snapshot or time]``."""

    description = "Open versioned repositories of an Amasia control plane"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group", "ref")
    supports_groups = True

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        ref: str | None = None,
    ) -> xr.Dataset:
        """Open one group.

        Parameters
        ----------
        filename_or_obj
            The URL.
        group
            Path of the group; None for the root.
        ref
            Branch, tag or snapshot id; None for that of the URL, or else ``main``.
        """
        from amasia.integrations import opening  # noqa: PLC0415  a second to import: see above

        return opening.group(filename_or_obj, group, ref, drop_variables)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        ref: str | None = None,
    ) -> dict[str, xr.Dataset]:
        from amasia.integrations import opening  # noqa: PLC0415

        return opening.groups(filename_or_obj, group, ref, drop_variables)

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> xr.DataTree:
        return xr.DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, **options))
