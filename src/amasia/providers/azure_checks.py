"""Whether a location on Azure can be used: its key, group, types and rights, looked at before any start."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError

from amasia import errors
from amasia.models.locations import Finding
from amasia.providers.azure_calls import Calls, told, translate
from amasia.providers.checks import NOBODY, look, missing, rights
from amasia.providers.markets import Market

RIGHT = "Microsoft.Compute/virtualMachines"


def check(name: str, calls: Calls, market: Market, group: str, region: str) -> list[Finding]:
    """Everything that was looked at. Only what no machine can do without carries the location's own name."""
    first = look(name, partial(_group, calls, group))
    if not first.ok:
        return [first]
    return [first, *missing(market), *rights(name, _tried(calls, group)), *_quotas(calls, region)]


def _group(calls: Calls, group: str) -> str:
    with told(f"{RIGHT}/read"):
        count = sum(1 for _ in calls.machines.list(group))
    return f"resource group {group} can be read, and has {count} machines"


def _tried(calls: Calls, group: str) -> Iterator[tuple[str, Callable[[], errors.AmasiaError | None]]]:
    """A machine that is not there, and one that lacks all that a machine must have: neither can be done."""
    machines = calls.machines
    asked: list[tuple[str, Callable[[], Any]]] = [
        (f"{RIGHT}/write", partial(machines.begin_create_or_update, group, NOBODY, {}, polling=False, retry_total=0)),
        (f"{RIGHT}/delete", partial(machines.begin_delete, group, NOBODY, polling=False)),
        (
            f"{RIGHT}/retrieveBootDiagnosticsData/action",
            partial(machines.retrieve_boot_diagnostics_data, group, NOBODY),
        ),
    ]
    for right, call in asked:
        yield right, partial(_try, right, call)


def _try(right: str, call: Callable[[], Any]) -> errors.AmasiaError | None:
    try:
        call()
    except HttpResponseError as error:
        return translate(error, right) if error.status_code == 403 else None
    except AzureError as error:
        return translate(error, right)
    return None


def _quotas(calls: Calls, region: str) -> Iterator[Finding]:
    try:
        with told("Microsoft.Compute/locations/usages/read"):
            usages = {one["name"]["value"]: one for one in calls.compute.usage.list(region)}
    except errors.AmasiaError:
        yield Finding(subject="quota", what="how many vCPUs may run cannot be seen", ok=True)
        return
    for key, kind in {"cores": "on demand", "lowPriorityCores": "as spot"}.items():
        if (usage := usages.get(key)) is None:
            continue
        cure = "" if usage["limit"] > usage["currentValue"] else "Ask Azure for more: portal, Usage + quotas."
        what = f"{usage['currentValue']} of {usage['limit']} vCPUs run {kind}"
        yield Finding(subject="quota", what=what, ok=not cure, cure=cure)
