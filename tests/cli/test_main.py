import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer

from amasia.cli import main, options
from amasia.errors import KINDS, BudgetExceeded, InvalidRequest
from amasia.settings import save_profile

NOWHERE = {"AMASIA_URL": "http://127.0.0.1:1", "AMASIA_TOKEN": "am_nothing", "AMASIA_WORKSPACE": "demo"}


def amasia(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "amasia.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, timeout=60, check=False)


def commands(found: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    inner = getattr(found, "commands", None)
    if inner is None:
        return [(path, found)]
    return [each for name, one in inner.items() for each in commands(one, (*path, name))]


def test_help_costs_less_than_half_a_second_of_cpu_and_names_every_word() -> None:
    seconds = []
    for _ in range(3):
        before = os.times()
        text = amasia("--help").stdout
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert all(f"  {word} " in text for word in main.LAZY)
    assert min(seconds) < 0.5


def test_help_loads_no_command() -> None:
    code = "import sys\nfrom amasia.cli.main import app\ntry: app(['--help'])\nfinally: print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout.split()
    )
    assert not loaded & {"pydantic", "httpx2", "dask", "rich.table", "amasia.cli.output", "amasia.settings"}


@pytest.mark.parametrize("module", sorted({module for module, _ in main.LAZY.values()}))
def test_no_command_loads_the_servers_libraries_or_xarray(module: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    heavy = {"fastapi", "sqlalchemy", "alembic", "uvicorn", "structlog", "boto3", "xarray", "icechunk", "distributed"}
    assert not {name.partition(".")[0] for name in ran.stdout.split()} & heavy


@pytest.mark.parametrize("word", list(main.LAZY))
def test_every_command_tells_what_it_does_with_examples_of_itself(word: str) -> None:
    for path, command in commands(main.load(word), (word,)):
        assert command.help, path
        assert f"amasia {' '.join(path)}" in (command.epilog or "").partition("Examples:")[2], path


@pytest.mark.parametrize("word", list(main.LAZY))
def test_every_command_that_ends_has_its_answer_as_json(word: str) -> None:
    for path, command in commands(main.load(word), (word,)):
        has = any("--json" in option.opts for option in command.params)
        assert has or path == ("publish", "serve"), path


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure"])
def test_a_policy_is_json_with_and_without_the_word(provider: str) -> None:
    said = amasia("location", "policy", provider).stdout
    assert said == amasia("location", "policy", provider, "--json").stdout
    assert json.loads(said)


def test_version_is_the_packages() -> None:
    assert amasia("--version").stdout.strip() == metadata.version("amasia")


def test_an_unknown_word_is_a_usage_error_and_the_nearest_is_named() -> None:
    ran = amasia("clutser")
    assert ran.returncode == 2
    assert "'cluster'" in ran.stderr


def test_not_signed_in_is_status_4_with_a_cure() -> None:
    ran = amasia("whoami")
    assert ran.returncode == 4
    assert ran.stderr.startswith("error: No control plane is known here.\ncure: ")
    assert not ran.stdout


def test_a_control_plane_that_does_not_answer_is_named_with_its_address() -> None:
    ran = amasia("cost", **NOWHERE)
    assert ran.returncode == 1
    assert "http://127.0.0.1:1 did not answer" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_with_json_an_error_is_one_line_of_its_wire_form() -> None:
    error = json.loads(amasia("cost", "--json", **NOWHERE).stderr)
    assert error["kind"] == "control-plane-down"
    assert set(error) == {"kind", "message", "cure", "detail"}


def test_with_json_a_wrong_option_is_wire_too() -> None:
    ran = amasia("cost", "--json", "--bye")
    assert ran.returncode == 2
    assert json.loads(ran.stderr)["kind"] == "invalid-request"


def test_a_profile_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text("{")
    ran = amasia("whoami")
    assert ran.returncode == 2
    assert str(tmp_path / "profile.json") in ran.stderr


def test_the_exit_status_is_that_of_the_errors_class(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in KINDS.values():
        monkeypatch.setattr(main, "_run", lambda kind=kind: _raise(kind("broke", cure="mend")))
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert ended.value.code == kind.exit_code
        assert capsys.readouterr().err == "error: broke\ncure: mend\n"
    assert BudgetExceeded.exit_code == 5


def test_anything_else_is_a_bug_with_an_id_and_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("AMASIA_PROFILE", str(tmp_path / "mine" / "profile.json"))
    monkeypatch.setattr(main, "_run", lambda: _raise(KeyError("oops")))
    with pytest.raises(SystemExit) as ended:
        main.main()
    err = capsys.readouterr().err
    (log,) = (tmp_path / "mine" / "bugs").iterdir()
    assert log.stat().st_mode & 0o777 == 0o600
    assert ended.value.code == 70
    assert log.stem in err
    assert str(log) in err
    assert "Traceback" not in err
    assert "KeyError: 'oops'" in log.read_text()


def test_ctrl_c_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "_run", lambda: _raise(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 130


def test_a_reader_that_went_away_gets_no_traceback() -> None:
    command = f"{sys.executable} -m amasia.cli.main doctor --json | true"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert not ran.stderr


def test_completion_knows_words_commands_and_options() -> None:
    def complete(line: str) -> list[str]:
        words = line.split(" ")
        variables = {
            "_AMASIA_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
        }  # fmt: skip
        return amasia(**variables).stdout.split()

    assert complete("amasia cl") == ["cluster"]
    assert complete("amasia cluster st") == ["start", "stop"]
    assert "--json" in complete("amasia cost --")


def test_completion_of_names_is_silent_where_nothing_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_profile(tmp_path / "profile.json", url="http://127.0.0.1:1", token="am_x", workspace="demo")
    assert options.complete(options.cluster_names)("") == []
    assert options.complete(options.repository_names)("") == []
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_only_yes_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    options.confirm("Really?", yes=True)
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
    with pytest.raises(InvalidRequest, match=r"Really\?.*--yes"):
        options.confirm("Really?", yes=False)


def test_on_a_terminal_no_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal())
    monkeypatch.setattr(typer, "confirm", lambda *_, abort, **__: _raise(typer.Abort()) if abort else None)
    with pytest.raises(typer.Abort):
        options.confirm("Really?", yes=False)


class _Terminal:
    def isatty(self) -> bool:
        return True


def _raise(error: BaseException) -> None:
    raise error
