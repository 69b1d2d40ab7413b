"""A catalog of made-up datasets that look like those of real archives, for a given seed always the same."""

import random
from collections.abc import Iterator
from datetime import timedelta

from amasia.database import datasets as rows
from amasia.database import repositories as repository_rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.datasets import Box, Content, Variable, days
from amasia.models.repositories import Repository, RepositoryStatus

FIELDS = (
    ("tas", "air_temperature", "Near-surface air temperature", "K"),
    ("t2m", "air_temperature", "2 metre temperature", "K"),
    ("pr", "precipitation_flux", "Precipitation", "kg m-2 s-1"),
    ("tos", "sea_surface_temperature", "Sea surface temperature", "degC"),
    ("so", "sea_water_salinity", "Sea water salinity", "0.001"),
    ("thetao", "sea_water_potential_temperature", "Sea water potential temperature", "degC"),
    ("uas", "eastward_wind", "Eastward near-surface wind", "m s-1"),
    ("vas", "northward_wind", "Northward near-surface wind", "m s-1"),
    ("zg", "geopotential_height", "Geopotential height", "m"),
    ("hus", "specific_humidity", "Specific humidity", "1"),
    ("psl", "air_pressure_at_mean_sea_level", "Sea level pressure", "Pa"),
    ("sic", "sea_ice_area_fraction", "Sea ice area fraction", "%"),
    ("swh", "sea_surface_wave_significant_height", "Significant wave height", "m"),
    ("chl", "mass_concentration_of_chlorophyll_a_in_sea_water", "Chlorophyll a", "mg m-3"),
    ("sm", "volume_fraction_of_condensed_water_in_soil", "Soil moisture", "m3 m-3"),
    ("no2", "tropospheric_no2_column", "Nitrogen dioxide tropospheric column", "molecules cm-2"),
    ("dbz", "equivalent_reflectivity_factor", "Radar reflectivity", "dBZ"),
    ("lai", "leaf_area_index", "Leaf area index", "1"),
)
MODELS = ("ERA5", "ERA-Interim", "JRA-55", "MERRA-2", "HadCM3", "NEMO eORCA1", "POP2", "ICON", "MPI-ESM", "EURO-CORDEX",
          "OSTIA", "ASCAT", "TEMPO", "HRRR", "NAM", "COADS", "Argo", "GHRSST", "ESA CCI", "MODIS")  # fmt: skip
REGIONS = {
    "global": (-180, -90, 180, 90), "North Atlantic": (-80, 0, 10, 70), "Europe": (-25, 34, 45, 72),
    "North America": (-170, 15, -50, 75), "Pacific": (120, -60, -70, 60), "Bay of Bengal": (78, 5, 95, 23),
    "Arctic": (-180, 60, 180, 90), "Sahel": (-18, 10, 40, 20), "Fiji": (176, -20, -178, -15),
}  # fmt: skip
STEPS = ("hourly", "daily", "monthly", "annual")
TOPICS = ("reanalysis", "forecast", "hindcast", "scenario", "satellite retrieval", "climatology", "anomalies",
          "observations", "ensemble mean", "bias corrected downscaling")  # fmt: skip


def fill(db: Database, workspace: str, count: int, seed: int, per_repository: int = 25) -> None:
    """Put ``count`` datasets into the catalog as the reconciler does, in repositories of a workspace."""
    dice = random.Random(seed)
    contents = list(contents_of(dice, count))
    for begin in range(0, count, per_repository):
        repository = Repository(
            id=new_id("re"), workspace=workspace, name=f"archive-{begin // per_repository:04d}", bucket="main",
            status=RepositoryStatus.ready, description=dice.choice(TOPICS), created_by="ada", created_at=now(),
        )  # fmt: skip
        at = now() - timedelta(minutes=dice.randrange(500_000))
        with db.write() as tx:
            repository_rows.create(tx, repository)
            rows.put(tx, repository, f"SNAP{begin:08d}", at, contents[begin : begin + per_repository])


def contents_of(dice: random.Random, count: int) -> Iterator[Content]:
    for number in range(count):
        model, region, step, topic = (dice.choice(one) for one in (MODELS, tuple(REGIONS), STEPS, TOPICS))
        fields = dice.sample(FIELDS, dice.randint(1, 6))
        west, south, east, north = REGIONS[region]
        jitter = dice.uniform(0, 3)
        begin, end = sorted((dice.randint(1900, 2024), dice.randint(1900, 2025)))
        variables = tuple(
            Variable(name=name, standard_name=standard, long_name=long, units=units, dims=("time", "lat", "lon"),
                     shape=(120, 180, 360), chunks=(12, 180, 360), dtype="float32", size=31_104_000,
                     attributes={"standard_name": standard, "long_name": long, "units": units,
                                 "cell_methods": "time: mean"})
            for name, standard, long, units in fields
        )  # fmt: skip
        history = " ".join(dice.choice(_HISTORY) for _ in range(40))
        yield Content(
            group=f"/{step}-{number:05d}",
            title=f"{model} {step} {topic} over {region}" if region != "global" else f"{model} {step} {topic}",
            summary=f"{', '.join(long for _, _, long, _ in fields)} from {model}, {begin} to {end}.",
            dims={"time": 120, "lat": 180, "lon": 360}, names=tuple(one[0] for one in fields),
            standard_names=tuple(one[1] for one in fields), size=31_104_000 * len(fields),
            begin=f"{begin}-01-01T00:00:00", end=f"{end}-12-31T00:00:00", calendar="proleptic_gregorian",
            begin_at=days(begin, 1, 1) * 86400, end_at=days(end, 12, 31) * 86400,
            box=Box(west=west, south=max(-90, south + jitter), east=east, north=north), variables=variables,
            attributes={"title": model, "institution": dice.choice(_PLACES), "Conventions": "CF-1.8",
                        "source": f"{model} version {dice.randint(1, 9)}", "history": history},
            html="<div>" + "x" * 2_000 + "</div>", previews={fields[0][0]: "<svg>" + "0" * 8_000 + "</svg>"},
        )  # fmt: skip


_HISTORY = ("regridded", "ncks", "cdo", "remapbil", "converted", "to", "zarr", "with", "xarray", "on", "compute",
            "node", "selected", "surface", "level", "joined", "files", "units", "corrected", "masked")  # fmt: skip
_PLACES = ("ECMWF", "NOAA PMEL", "Met Office Hadley Centre", "DKRZ", "NASA GSFC", "JMA", "IPSL", "BSC", "CMCC")
