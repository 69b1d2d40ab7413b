"""Draw the result of the demo, read back from the repository: ``python -m demo.plot PICTURE.png``."""

import sys
from pathlib import Path

import matplotlib as mpl
import xarray as xr

import amasia

mpl.use("Agg")
from matplotlib import pyplot as plt

TARGET = "amasia://demo/climatology"


def read(group: str) -> xr.Dataset:
    return xr.open_dataset(TARGET, engine="amasia", group=group)


def draw(path: Path) -> None:
    """Normals of one month as a map, and the mean departure through time, for whichever group is there."""
    groups = {name.split("/")[0] for name in amasia.open_repo("demo/climatology").groups()}
    group = next(name for name in ("ostia_monthly", "winds", "air") if name in groups)
    normals, departures = read(f"{group}/normals"), read(f"{group}/departures")
    name = next(iter(normals.data_vars))
    time = next(dim for dim in departures[name].dims if str(dim).lower().startswith("time"))
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(9, 6.5), height_ratios=(3, 2), layout="constrained")
    normals[name].isel(month=0).plot(ax=top, cmap="RdYlBu_r", cbar_kwargs={"label": ""})
    top.set_title(f"{name}: normal of month {int(normals.month[0])}")
    other = [dim for dim in departures[name].dims if dim != time]
    departures[name].mean(other).plot(ax=bottom, color="#b5483a")
    bottom.axhline(0, color="0.6", linewidth=0.8)
    bottom.set_title("mean departure from the normals")
    figure.suptitle(f"demo/climatology, {group}", fontweight="bold")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
