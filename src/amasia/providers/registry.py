"""Which providers there are: the built-in ones by table, others by the entry point ``amasia.providers``."""

from importlib.metadata import EntryPoint, entry_points

from amasia import errors
from amasia.models.locations import Place
from amasia.providers.base import Open, Provider

GROUP = "amasia.providers"
BUILT_IN = {
    "ssh": "amasia.providers.ssh:SshProvider",
    "slurm": "amasia.providers.slurm:SlurmProvider",
    "aws": "amasia.providers.aws:AwsProvider",
    "gcp": "amasia.providers.gcp:GcpProvider",
    "azure": "amasia.providers.azure:AzureProvider",
}
"""Named, not imported: each needs its cloud's library, which only those have who use it."""
EXTRAS = {"aws": "aws", "gcp": "gcp", "azure": "azure"}
"""Of Amasia's optional dependencies, by provider."""


def names() -> list[str]:
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def open_place(provider: str, place: Place) -> Provider:
    """The provider of a location.

    Raises
    ------
    InvalidRequest
        There is none of that name, its library is not installed, or it refuses the location's options.
    """
    return load(provider)(place)


def load(name: str) -> Open:
    """What opens a provider's locations: for those that are built in, its class.

    Raises
    ------
    InvalidRequest
        There is none of that name, or its library is not installed.
    """
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if name in BUILT_IN:
        found = [EntryPoint(name, BUILT_IN[name], GROUP)]
    if not found:
        raise errors.InvalidRequest(
            f"There is no provider {name!r}.", cure=f"One of: {', '.join(['local', *names()])}."
        )
    try:
        made: Open = found[0].load()
    except ImportError as error:
        extra = EXTRAS.get(name)
        cure = (
            f"On the control plane's computer: pip install 'amasia[{extra}]'" if extra else f"Repair {found[0].value}."
        )
        raise errors.InvalidRequest(f"The provider {name!r} cannot be loaded ({error}).", cure=cure) from error
    return made
