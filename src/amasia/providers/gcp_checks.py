"""Whether a location on Compute Engine can be used: its key, region, images and rights, looked at before any start."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from google.api_core.exceptions import Forbidden
from google.cloud import compute_v1

from amasia import errors
from amasia.models.locations import Finding
from amasia.providers.checks import NOBODY, look, missing, rights
from amasia.providers.gcp_calls import RETRY, SECONDS, WRONG, Calls, told, translate
from amasia.providers.markets import Market

QUOTAS = {"CPUS": "on demand", "PREEMPTIBLE_CPUS": "as spot"}


def check(
    name: str, calls: Calls, market: Market, region: str, zones: Callable[[], Any], images: Mapping[str, str]
) -> list[Finding]:
    """Everything that was looked at. Only what no machine can do without carries the location's own name."""
    first = look(name, partial(_project, calls))
    if not first.ok:
        return [first]
    found = [first, look(name, partial(_region, calls, region))]
    if not found[-1].ok:
        return found
    found += [look(f"image for {kind}", partial(_image, calls, image)) for kind, image in images.items()]
    found += [*missing(market), *rights(name, _tried(calls, zones()[0])), *_quotas(calls, region)]
    return found


def _project(calls: Calls) -> str:
    if not calls.project:
        raise errors.InvalidRequest("the project is not known", cure="Give `project` in the options.")
    return f"it works in project {calls.project}"


def _region(calls: Calls, region: str) -> str:
    found = _read_region(calls, region)
    return f"{region} has the zones {', '.join(sorted(url.rsplit('/', 1)[-1] for url in found.zones))}"


def _read_region(calls: Calls, region: str) -> compute_v1.Region:
    with told("compute.regions.get"):
        return calls.regions.get(project=calls.project, region=region, retry=RETRY, timeout=SECONDS)


def _image(calls: Calls, image: str) -> str:
    parts = image.split("/")
    if len(parts) < 5 or parts[0] != "projects" or parts[3] not in ("images",):
        raise errors.InvalidRequest(
            f"{image!r} names no image.",
            cure="Write projects/<project>/global/images/<name> or …/images/family/<name>.",
        )
    with told("compute.images.get"):
        if parts[4] == "family":
            request = {"project": parts[1], "family": parts[-1]}
            return f"machines boot from {calls.images.get_from_family(request=request, timeout=SECONDS).name}"
        found = calls.images.get(request={"project": parts[1], "image": parts[-1]}, timeout=SECONDS)
        return f"machines boot from {found.name}"


def _tried(calls: Calls, zone: str) -> Iterator[tuple[str, Callable[[], errors.AmasiaError | None]]]:
    """A machine that is not there, and one without a name or disk: neither can be done."""
    place = {"project": calls.project, "zone": zone}
    nobody = place | {"instance": NOBODY}
    instances = calls.instances
    asked: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
        ("compute.instances.create", instances.insert_unary, place | {"instance_resource": {}}),
        ("compute.instances.get", instances.get, nobody),
        ("compute.instances.delete", instances.delete_unary, nobody),
        ("compute.instances.getSerialPortOutput", instances.get_serial_port_output, nobody),
        ("compute.zoneOperations.list", calls.operations.list, place | {"filter": "targetId=0"}),
    ]
    for right, call, request in asked:
        yield right, partial(_try, right, call, request)


def _try(right: str, call: Callable[..., Any], request: dict[str, Any]) -> errors.AmasiaError | None:
    try:
        call(request=request, timeout=SECONDS)
    except Forbidden as error:
        return translate(error, right)
    except WRONG:
        pass
    return None


def _quotas(calls: Calls, region: str) -> Iterator[Finding]:
    for quota in _read_region(calls, region).quotas:
        if kind := QUOTAS.get(quota.metric):
            cure = "" if quota.limit > quota.usage else "Ask Google for more: console, IAM and admin, Quotas."
            what = f"{quota.usage:g} of {quota.limit:g} vCPUs run {kind}"
            yield Finding(subject="quota", what=what, ok=not cure, cure=cure)
