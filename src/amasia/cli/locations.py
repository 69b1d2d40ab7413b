"""``amasia location``."""

from pathlib import Path
from typing import Annotated

import typer

from amasia import errors
from amasia.cli.options import Json, Workspace, Yes, confirm, examples, noun
from amasia.cli.output import clock, say, show_json, show_table
from amasia.client import locations, standbys, workspaces
from amasia.models import policies
from amasia.models.locations import Location, LocationStatus
from amasia.models.money import show
from amasia.models.sizes import GIB

app = noun("Locations: where machines come from, and what they cost there.")

Name = Annotated[str, typer.Argument(help="Of the location.")]


@app.command("list", epilog=examples("amasia location list", "amasia location list --json"))
def list_(workspace: Workspace = None, as_json: Json = False) -> None:
    """The locations of a workspace, its default first."""
    found = locations.find(workspace)
    if as_json:
        show_json(found)
        return
    rows = [(one.name, one.provider, one.region, one.status, f"{len(one.offers)} types") for one in found]
    show_table(["location", "provider", "region", "status", "machines"], rows, empty="There is no location.")


@app.command("show", epilog=examples("amasia location show lab", "amasia location show lab --json"))
def show_(name: Name, workspace: Workspace = None, as_json: Json = False) -> None:
    """What it offers, at which price, and what its last check found."""
    found = locations.get(name, workspace)
    if as_json:
        show_json(found)
        return
    say(f"{found.name}: {found.provider} in {found.region}, {found.status}, at most {found.max_machines} machines")
    if found.boot_seconds is not None:
        say(f"A machine there is of use {found.boot_seconds:.0f} s after it was asked for, as measured lately.")
    _show_findings(found)
    rows = [
        (one.type, f"{one.cpus:g}", f"{one.memory / GIB:.1f}", one.gpu and f"{one.gpus} {one.gpu}", one.arch,
         "unknown" if one.price is None else show(one.price), "" if one.spot_price is None else show(one.spot_price),
         one.price_source)
        for one in found.offers
    ]  # fmt: skip
    show_table(["type", "cpus", "GiB", "gpu", "arch", "per hour", "spot", "price from"], rows, empty="No machines.")
    for kept in standbys.find(name, workspace):
        until = f" until {clock(kept.until)}" if kept.until else ""
        why = f": {kept.reason}" if kept.reason else ""
        say(f"Kept warm{until}: {kept.machines} of {kept.machine_type}, {kept.ready} ready{why}")


@app.command(
    epilog=examples(
        "amasia location warm lab --type large --machines 2 --for 8",
        "amasia location warm lab --type large --machines 0",
    )
)
def warm(
    name: Name,
    machine_type: Annotated[str, typer.Option("--type", help="As `amasia location show` lists them.")],
    machines: Annotated[int, typer.Option(help="How many to keep; 0 for none any more.", min=0, max=100)],
    hours: Annotated[float | None, typer.Option("--for", help="Hours; without it, until you say otherwise.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Keep machines warm: running, joined, with the last environment ready. Clusters take them first. For admins."""
    made = standbys.keep(name, machine_type, machines, workspace, hours=hours)
    if as_json:
        show_json(made)
        return
    if not machines:
        say(f"No {machine_type} is kept warm at {name} any more.")
        return
    until = f" until {clock(made.until)}" if made.until else ""
    offer = next(one for one in locations.get(name, made.workspace).offers if one.type == machine_type)
    cost = f"{show(machines * (offer.price or 0))} per hour"
    say(f"{machines} of {machine_type} are kept warm at {name}{until}, {cost}.")


@app.command(
    epilog=examples(
        "amasia location add lab --provider ssh --config hosts.toml",
        "amasia location add europe --provider aws --region eu-central-1 --config aws.toml",
    )
)
def add(
    name: Annotated[str, typer.Argument(help="What it is called here.")],
    provider: Annotated[str, typer.Option(help="ssh, slurm, aws, gcp, azure, …; without it, the name's.")] = "",
    region: Annotated[str, typer.Option(help="The provider's word for where it is.")] = "here",
    config: Annotated[
        Path | None, typer.Option("--config", "--hosts", help="TOML file with its options and [secrets].")
    ] = None,
    max_machines: Annotated[int, typer.Option(help="That may be there at once.", min=1)] = 64,
    control_plane: Annotated[str, typer.Option(help="Its URL as machines there see it.")] = "",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Register a location, and look whether it can be used. For admins."""
    options, secrets = locations.read_config(config) if config else ({}, {})
    locations.create(
        name,
        provider or name,
        workspace,
        region=region,
        options=options,
        secrets=secrets,
        max_machines=max_machines,
        control_plane=control_plane,
    )
    _tell(locations.checked(name, workspace), as_json)


@app.command(
    epilog=examples(
        "amasia location update lab --hosts hosts.toml",
        "amasia location update europe --max-machines 200",
    )
)
def update(
    name: Name,
    config: Annotated[
        Path | None, typer.Option("--config", "--hosts", help="Its TOML file anew; without [secrets] it keeps its own.")
    ] = None,
    max_machines: Annotated[int | None, typer.Option(help="That may be there at once.", min=1)] = None,
    control_plane: Annotated[str | None, typer.Option(help="Its URL as machines there see it.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Change it while its machines go on: new keys, more hosts, another limit. For admins."""
    if config is None and max_machines is None and control_plane is None:
        raise errors.InvalidRequest("Nothing is to change.", cure="Give --config, --max-machines or --control-plane.")
    options, secrets = locations.read_config(config) if config else (None, None)
    locations.update(
        name,
        workspace,
        options=options,
        secrets=secrets or None,
        max_machines=max_machines,
        control_plane=control_plane,
    )
    _tell(locations.checked(name, workspace), as_json)


@app.command(epilog=examples("amasia location check lab", "amasia location check lab --json"))
def check(name: Name, workspace: Workspace = None, as_json: Json = False) -> None:
    """Look at it again: what is missing where, and how to mend it. For admins."""
    _tell(locations.check(name, workspace), as_json)


@app.command(epilog=examples("amasia location remove lab", "amasia location remove lab --yes"))
def remove(name: Name, workspace: Workspace = None, yes: Yes = False, as_json: Json = False) -> None:
    """Forget it. Refused while it has machines. For admins."""
    where = workspaces.current(workspace)
    confirm(f"Remove the location {name} from {where}?", yes)
    locations.delete(name, where)
    show_json({"removed": name}) if as_json else say(f"{name} is gone from {where}.")


@app.command(
    epilog=examples("amasia location policy aws", "amasia location policy aws --region eu-central-1 > policy.json")
)
def policy(
    provider: Annotated[str, typer.Argument(help="aws, gcp or azure")],
    region: Annotated[str, typer.Option(help="aws: that it is for; any without.")] = "*",
    profile_role: Annotated[str, typer.Option(help="aws: ARN of the role that machines there have.")] = "",
    as_json: Json = True,
) -> None:
    """The least that a cloud must allow the key of a location, always as JSON, for the cloud's console."""
    match provider:
        case "aws":
            print(policies.aws_text(region, profile_role))
        case "gcp":
            print(policies.gcp_text())
        case "azure":
            print(policies.azure_text())
        case _:
            cure = "There is one for aws, gcp and azure."
            raise errors.InvalidRequest(f"There is no policy for {provider!r}.", cure=cure)


def _tell(found: Location, as_json: bool) -> None:
    """Exit status 1 where it cannot be used."""
    if as_json:
        show_json(found)
    else:
        _show_findings(found)
        if found.status is LocationStatus.ready:
            say(f"{found.name} is ready with {len(found.offers)} machine types. Use it: location={found.name!r}")
        else:
            say(f"{found.name} cannot be used yet. When it is mended: amasia location check {found.name}")
    if found.status is not LocationStatus.ready:
        raise typer.Exit(1)


def _show_findings(found: Location) -> None:
    rows = [("✓" if one.ok else "✗", one.subject, one.what, one.cure) for one in found.findings]
    if rows:
        show_table(["", "", "found", "what to do"], rows)
