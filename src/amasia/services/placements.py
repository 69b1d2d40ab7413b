"""Placement: which location, and which of its machine types. Pure: from what is offered to what is taken.

Every location is judged as a whole, since a cluster's machines must reach each other: by what all its machines cost for
one hour, which is about what an interactive session takes, and what it costs to carry the data there once. The cheapest
one wins; where two cost the same, the one where the data are, then the one that the workspace had first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amasia import errors
from amasia.models.locations import Location, LocationStatus, Offer
from amasia.models.money import show
from amasia.models.placements import Choice, Data, Placement, Wants
from amasia.models.sizes import GIB


@dataclass(frozen=True)
class Asked:
    """So many machines of one kind.

    Attributes
    ----------
    what
        How the kind is called in a sentence: ``Each worker``, ``The scheduler``.
    """

    what: str
    wants: Wants
    count: int


@dataclass(frozen=True)
class _Fitting:
    location: Location
    choices: tuple[Choice, ...]
    hourly: int
    egress: int

    @property
    def total(self) -> int:
        return self.hourly + self.egress


def place(
    asked: Sequence[Asked],
    locations: Sequence[Location],
    *,
    regions: Sequence[str] = (),
    room: Mapping[str, int] | None = None,
    data: Data | None = None,
    rate: int | None = None,
    currency: str = "EUR",
) -> tuple[Placement, tuple[Choice, ...]]:
    """Choose the location, and the type of each kind of machine.

    Parameters
    ----------
    locations
        Those to choose among, the default first.
    regions
        Where the workspace may have machines; empty for everywhere.
    room
        How many more machines each location may have; those without a word are held to their own limit.
    rate
        Micro-units per hour that the budget could hold for the first lease; where all cost more, the cheapest is taken
        and the reservation says no.

    Returns
    -------
    tuple
        The placement, and a choice for each of ``asked``.

    Raises
    ------
    TooLarge
        No location has such machines, or room for them; says for each one why.
    PermissionDenied
        Only locations have them that the workspace may not use.
    Unavailable
        Only locations have them that are not ready.
    """
    refusals: list[tuple[Location, errors.AmasiaError]] = []
    fitting: list[_Fitting] = []
    for location in locations:
        try:
            fitting.append(_fit(asked, location, regions, room or {}, data))
        except errors.AmasiaError as error:
            refusals.append((location, error))
    if not fitting:
        raise _refusal(refusals)
    order = {location.name: position for position, location in enumerate(locations)}
    affordable = [one for one in fitting if rate is None or one.hourly <= rate] or fitting
    best = min(affordable, key=lambda one: (one.total, _away(one.location, data), order[one.location.name]))
    most = max(data.egress(one.location.region) for one in fitting) if data else 0
    placement = Placement(
        location=best.location.name,
        region=best.location.region,
        why=_why(best, fitting, refusals, data, currency),
        egress=best.egress,
        avoided=max(0, most - best.egress),
    )
    return placement, best.choices


def choose(location: Location, wants: Wants, what: str, without: Sequence[str] = ()) -> Choice:
    """The cheapest type at a location that will do, and which others would do as well for no more.

    Raises
    ------
    TooLarge
        None will; says what the nearest one lacks.
    """
    usable = [offer for offer in location.offers if offer.type not in without]
    fitting = sorted(
        (choice for offer in usable if suits(offer, wants) and (choice := _priced(offer, wants)) is not None),
        key=lambda one: (_likely(one), one.price, one.offer.memory, one.offer.cpus, one.offer.type),
    )
    if not fitting:
        raise _too_large(location, wants, what)
    best = fitting[0]
    others = tuple(one.offer for one in fitting[1:] if one.price <= best.price)
    return best.model_copy(update={"alternatives": others})


def _fit(
    asked: Sequence[Asked], location: Location, regions: Sequence[str], room: Mapping[str, int], data: Data | None
) -> _Fitting:
    if regions and location.region not in regions:
        raise errors.PermissionDenied(
            f"the workspace may not use the region {location.region!r}", cure="An admin can allow it."
        )
    if location.status is LocationStatus.failed or not location.offers:
        trouble = next((finding.what for finding in location.findings if not finding.ok), "it is being looked at")
        raise errors.Unavailable(f"it is not ready: {trouble}", cure=f"See amasia location check {location.name}")
    count = sum(one.count for one in asked)
    left = room.get(location.name, location.max_machines)
    if count > left:
        raise errors.TooLarge(
            f"{count} more machines were asked for, and at most {max(0, left)} more are allowed there",
            cure="Ask for fewer workers, or stop something.",
        )
    choices = tuple(choose(location, one.wants, one.what) for one in asked)
    hourly = sum(choice.price * one.count for choice, one in zip(choices, asked, strict=True))
    return _Fitting(location, choices, hourly, data.egress(location.region) if data else 0)


def suits(offer: Offer, wants: Wants) -> bool:
    """Whether such a machine will do."""
    large = offer.cpus >= wants.cpus and offer.memory >= wants.memory and offer.gpus >= wants.gpus
    wasteful = offer.gpus > 0 and not wants.gpus and offer.type not in wants.machine_types
    named = not wants.machine_types or offer.type in wants.machine_types
    return large and named and not wasteful and offer.arch == wants.arch


def _priced(offer: Offer, wants: Wants) -> Choice | None:
    """As it would be asked for; None without a known price, which no budget can hold."""
    if wants.spot == "yes":
        price, spot = offer.spot_price, "yes"
    else:
        price, spot = offer.price, "fallback" if wants.spot == "fallback" and offer.spot_price is not None else "no"
    if price is None:
        return None
    return Choice.model_validate({"offer": offer, "price": price, "spot": spot})


def _likely(choice: Choice) -> int:
    """What it will most likely cost: spot, where there is such a price."""
    return choice.offer.spot_price if choice.spot != "no" and choice.offer.spot_price is not None else choice.price


def _too_large(location: Location, wants: Wants, what: str) -> errors.TooLarge:
    about = f"{wants.cpus:g} cpus and {wants.memory / GIB:.1f} GiB"
    if wants.gpus:
        about += f" and {wants.gpus} GPUs"
    priced = [offer for offer in location.offers if _priced(offer, wants) is not None]
    if not priced:
        kind = "spot " if wants.spot == "yes" else ""
        return errors.TooLarge(
            f"location {location.name!r} offers no {kind}machine with a known price", cure="Set its price list."
        )
    if wants.machine_types and not any(offer.type in wants.machine_types for offer in priced):
        return errors.TooLarge(
            f"location {location.name!r} has no machine type {' or '.join(map(repr, wants.machine_types))}",
            cure=f"`amasia location show {location.name}` lists its types.",
        )
    if not any(offer.arch == wants.arch for offer in priced):
        return errors.TooLarge(f"location {location.name!r} has no {wants.arch} machines", cure="Use another location.")
    most = max(priced, key=lambda offer: (offer.gpus >= wants.gpus, offer.memory, offer.cpus))
    return errors.TooLarge(
        f"{what} was asked with {about}, and no machine at {location.name!r} has that: the largest, {most.type!r}, has "
        f"{most.cpus:g} cpus and {most.memory / GIB:.1f} GiB" + (f" and {most.gpus} GPUs" if wants.gpus else ""),
        cure="Ask for less per worker, and for more workers.",
    )


def _refusal(refusals: list[tuple[Location, errors.AmasiaError]]) -> errors.AmasiaError:
    """One error for all locations: of the class that says most about what the person can do."""
    if not refusals:
        return errors.NotFound("The workspace has no location.", cure="An admin can add one: amasia location add")
    kinds = (errors.TooLarge, errors.Unavailable, errors.PermissionDenied)
    named = [f"{location.name}: {error.message}" for location, error in refusals]
    chosen = min((error for _, error in refusals), key=lambda error: kinds.index(type(error)))
    text = chosen.message if len(refusals) == 1 else "no location has such machines: " + "; ".join(named)
    return type(chosen)(text[0].upper() + text[1:] + ".", cure=chosen.cure)


def _why(
    best: _Fitting,
    fitting: list[_Fitting],
    refusals: list[tuple[Location, errors.AmasiaError]],
    data: Data | None,
    currency: str,
) -> str:
    types = " and ".join(dict.fromkeys(choice.offer.type for choice in best.choices))
    text = f"{best.location.name} ({types}): {show(best.hourly, currency)} per hour"
    if data:
        text += _about_data(best, data, currency)
    others = [one for one in fitting if one is not best]
    if others:
        next_best = min(others, key=lambda one: one.total)
        text += f"; next would be {next_best.location.name} at {show(next_best.hourly, currency)} per hour"
        if next_best.egress:
            text += f" and {show(next_best.egress, currency)} for the data"
    elif refusals:
        text += f"; {len(refusals)} others do not have such machines"
    return text


def _about_data(best: _Fitting, data: Data, currency: str) -> str:
    size = f"{data.nbytes / GIB:.1f} GiB of {data.name}"
    if best.location.region == data.region:
        return f", beside the {size}"
    if data.egress_price is None:
        return f", away from the {size}, whose egress price is unknown"
    return f", and {show(best.egress, currency)} to read the {size} from {data.region} once"


def _away(location: Location, data: Data | None) -> bool:
    return data is not None and location.region != data.region
