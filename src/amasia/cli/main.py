"""The command ``amasia``. A command's module is imported when the command is called, and not before."""

import json
import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

import amasia
from amasia.errors import AmasiaError, InvalidRequest, to_wire

LAZY = {
    "up": ("amasia.cli.server", "Start the control plane on this computer."),
    "down": ("amasia.cli.server", "Stop all machines, the control plane and its object store."),
    "status": ("amasia.cli.server", "One screen: what runs, what it costs per hour, what is left."),
    "console": ("amasia.cli.server", "Where the console is, and how to sign in."),
    "doctor": ("amasia.cli.checks", "Check this computer, and say what to do."),
    "repo": ("amasia.cli.repositories", "Repositories: create, ingest, look, history."),
    "search": ("amasia.cli.datasets", "Find data by words, variable, place and time."),
    "dataset": ("amasia.cli.datasets", "What the catalog knows of a dataset: variables, preview, citation."),
    "publish": ("amasia.cli.publications", "Let other tools read a repository: map tiles, OGC EDR, OPeNDAP."),
    "bucket": ("amasia.cli.buckets", "Where repositories are kept: list, add."),
    "view": ("amasia.cli.views", "Views: derived data that keeps itself current."),
    "cluster": ("amasia.cli.clusters", "Clusters: list, start, scale, stop, read their logs."),
    "location": ("amasia.cli.locations", "Where machines come from: list, add, check."),
    "cost": ("amasia.cli.costs", "What was spent, by user, cluster or repository."),
    "budget": ("amasia.cli.budgets", "What a workspace, a user, a location or a tag may spend."),
    "alert": ("amasia.cli.alerts", "What you are told of budgets, and where."),
    "grant": ("amasia.cli.grants", "Who may do what with a repository."),
    "group": ("amasia.cli.groups", "Groups of members, that grants can name."),
    "account": ("amasia.cli.service_accounts", "Service accounts: for programs, with tokens and no password."),
    "secret": ("amasia.cli.secrets", "Secrets for processes on machines: set, used, never shown."),
    "workspace": ("amasia.cli.workspaces", "Workspaces and their members."),
    "limit": ("amasia.cli.limits", "What a workspace may take of the control plane."),
    "health": ("amasia.cli.health", "How the control plane is; for operators."),
    "user": ("amasia.cli.users", "Accounts of this control plane; for operators."),
    "key": ("amasia.cli.keys", "The key that secrets are sealed with; for operators."),
    "audit": ("amasia.cli.events", "Who did what, and the proof that nobody changed what is written of it."),
    "login": ("amasia.cli.accounts", "Sign in to a control plane."),
    "logout": ("amasia.cli.accounts", "Forget the token of this computer."),
    "whoami": ("amasia.cli.accounts", "Who the control plane takes you for."),
    "token": ("amasia.cli.accounts", "Make, list and revoke tokens."),
}
"""Each word, the module whose ``app`` has it, and its line in the help."""


class LazyGroup(TyperGroup):
    """Knows all words, and loads the module of the one that is used."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for word, (_, help) in LAZY.items():
            self.commands[word] = TyperCommand(word, help=help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in LAZY:
            self.commands[args[0]] = load(args[0])
        return super().resolve_command(ctx, args)


def load(word: str) -> Any:
    """The command of a word: the one of that name in its module's app, else the app as a whole."""
    found: Any = typer.main.get_command(import_module(LAZY[word][0]).app)
    return getattr(found, "commands", {}).get(word, found)


app = typer.Typer(cls=LazyGroup, name="amasia", rich_markup_mode=None, no_args_is_help=True)


def _version(wanted: bool) -> None:
    if wanted:
        print(amasia.__version__)
        raise typer.Exit


@app.callback(epilog="\b\nExamples:\n  amasia up\n  amasia cluster start --workers 4\n  amasia cost --by cluster")
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Versioned geoscience data and Dask machines, with budgets that hold."""


def command() -> NoReturn:
    """`main`, and gone at once: threads of native libraries outlive Python's own end, and have crashed it there."""
    try:
        main()
        code: Any = 0
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def main() -> None:
    """Run a command; the exit status is 0, that of the error's class, 130 for Ctrl-C, or 70 for a bug of ours."""
    try:
        _run()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: nothing to say at exit either
        sys.exit(1)
    except AmasiaError as error:
        _report(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _report_bug(error)
        sys.exit(70)


def _run() -> None:
    try:
        status = app(prog_name="amasia", standalone_mode="--json" not in sys.argv)
    except typer.TyperException as error:  # only with --json: else Typer has shown it, with the usage
        raise InvalidRequest(error.format_message(), cure="Add --help to see what there is.") from error
    except typer.Abort:
        sys.exit(1)
    except SystemExit as end:  # Typer's own, when it shows errors itself
        status = end.code
    finally:
        sys.stdout.flush()
    if not status:
        _tell_alerts()
    sys.exit(status or 0)


def _tell_alerts() -> None:
    """Only by a command for people, and that has talked to a control plane anyway."""
    transport = sys.modules.get("amasia.client.transport")
    if transport is not None and transport.is_connected() and "--json" not in sys.argv:
        import_module("amasia.cli.alerts").tell()


def _report(error: AmasiaError) -> None:
    if "--json" in sys.argv:
        print(json.dumps(to_wire(error), default=str), file=sys.stderr)
        return
    print(f"error: {error.message}", file=sys.stderr)
    if error.cure:
        print(f"cure: {error.cure}", file=sys.stderr)


def _report_bug(error: Exception) -> None:
    """Keep the traceback in a file, and show where."""
    bug = f"bug-{token_hex(4)}"
    folder = _settings_folder() / "bugs"
    text = "".join(["amasia ", " ".join(sys.argv[1:3]), "\n", *traceback.format_exception(error)])
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = folder / f"{bug}.log"
        log.touch(mode=0o600)  # arguments and paths are the user's own
        log.write_text(text)
        where = f"Its log is {folder / f'{bug}.log'}"
    except OSError:
        where = f"Its log could not be written:\n{text}"
    wire = {"kind": "bug", "message": f"{type(error).__name__}: {error}", "cure": where, "detail": {"id": bug}}
    if "--json" in sys.argv:
        print(json.dumps(wire), file=sys.stderr)
        return
    print(f"error: this is a bug in amasia, {bug} ({type(error).__name__}: {error}).", file=sys.stderr)
    print(f"cure: {where}; please report it with that.", file=sys.stderr)


def _settings_folder() -> Path:
    """Of the profile; what is needed to find it is imported when something went wrong, and not by every command."""
    settings = import_module("amasia.settings")
    try:
        profile: Path = settings.ClientSettings().profile
    except AmasiaError:  # a setting that is wrong is not what failed here
        profile = settings.default_profile()
    return profile.parent


if __name__ == "__main__":
    command()
