"""One real control plane on this computer, from ``amasia up`` to ``amasia down``, by command line alone."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest
from argon2 import extract_parameters, profiles

from amasia import ports
from amasia.cli import processes
from amasia.services import users
from amasia.settings import ServerSettings, save_profile

Run = Callable[..., subprocess.CompletedProcess[str]]


def amasia(*words: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "amasia.cli.main", *words],
        input=stdin, capture_output=True, text=True, env=os.environ | variables, timeout=100, check=False,
    )  # fmt: skip


def variables_of(home: Path) -> dict[str, str]:
    return {
        "AMASIA_HOME": str(home / "home"), "AMASIA_PROFILE": str(home / "profile.json"),
        "AMASIA_CACHE": str(home / "cache"), "AMASIA_PORT": str(ports.free()), "AMASIA_STORE_PORT": str(ports.free()),
        "AMASIA_LEASE_SECONDS": "20",
    }  # fmt: skip


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    found = variables_of(tmp_path_factory.mktemp("house"))
    up = amasia("up", **found)
    assert up.returncode == 0, up.stderr
    yield found
    down = amasia("down", "--yes", **found)
    assert down.returncode == 0, down.stderr
    assert processes.server(Path(found["AMASIA_HOME"])) is None
    assert processes.store(Path(found["AMASIA_HOME"])) is None


@pytest.fixture
def run(variables: dict[str, str]) -> Run:
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return amasia(*words, **(variables | more))

    return run


def test_a_store_that_dies_is_started_again(run: Run, variables: dict[str, str]) -> None:
    home = Path(variables["AMASIA_HOME"])
    died = processes.store(home)
    assert died is not None
    died.kill()
    end = monotonic() + 30
    while run("repo", "create", f"demo/after-{int(monotonic() * 1000)}").returncode and monotonic() < end:
        sleep(0.2)
    alive = processes.store(home)
    assert alive is not None
    assert alive.pid != died.pid


def test_a_setting_that_is_no_number_is_named(run: Run) -> None:
    refused = run("status", AMASIA_PORT="abc", AMASIA_LEASE_SECONDS="soon")
    ran = run("up", AMASIA_PORT="abc")
    assert ran.returncode == 2
    assert "AMASIA_PORT='abc'" in ran.stderr
    assert "Traceback" not in refused.stderr + ran.stderr


def data(run: Run, *words: str) -> object:
    ran = run(*words, "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_up_may_be_repeated_and_says_so(run: Run, variables: dict[str, str]) -> None:
    before = processes.server(Path(variables["AMASIA_HOME"]))
    again = run("up")
    assert again.returncode == 0
    assert "was up already" in again.stderr
    assert f"http://127.0.0.1:{variables['AMASIA_PORT']}" in again.stdout
    after = processes.server(Path(variables["AMASIA_HOME"]))
    assert before is not None
    assert after is not None
    assert after.pid == before.pid


def test_up_signs_in_and_only_the_owner_reads_the_profile(run: Run, variables: dict[str, str]) -> None:
    profile = Path(variables["AMASIA_PROFILE"])
    assert profile.stat().st_mode & 0o777 == 0o600
    assert json.loads(profile.read_text())["workspace"] == "demo"
    assert "demo (owner)" in run("whoami").stdout


def test_up_leaves_a_profile_alone_that_is_signed_in_elsewhere(run: Run, tmp_path: Path) -> None:
    profile = tmp_path / "elsewhere.json"
    save_profile(profile, url="http://127.0.0.1:1", token="am_elsewhere", workspace="oceans")
    before = profile.read_text()
    again = run("up", AMASIA_PROFILE=str(profile))
    assert again.returncode == 0
    assert "stays signed in to http://127.0.0.1:1" in again.stderr
    assert profile.read_text() == before


def test_up_replaces_a_token_that_no_longer_works(run: Run, variables: dict[str, str], tmp_path: Path) -> None:
    profile = tmp_path / "stale.json"
    url = f"http://127.0.0.1:{variables['AMASIA_PORT']}"
    save_profile(profile, url=url, token="am_of-a-home-that-was-deleted", workspace="old")
    assert run("up", AMASIA_PROFILE=str(profile)).returncode == 0
    assert run("whoami", AMASIA_PROFILE=str(profile)).returncode == 0


def test_the_console_shows_a_password_that_signs_in(run: Run, tmp_path: Path) -> None:
    shown = data(run, "console")
    assert isinstance(shown, dict)
    other = str(tmp_path / "other.json")
    words = ("login", shown["console"], "--user", shown["user"])
    assert run(*words, stdin=shown["password"] + "\n", AMASIA_PROFILE=other).returncode == 0
    assert run("whoami", AMASIA_PROFILE=other).returncode == 0
    wrong = run(*words, stdin="wrong\n", AMASIA_PROFILE=other)
    assert wrong.returncode == 4
    assert shown["password"] not in run("up").stdout


def test_passwords_are_kept_as_argon2_makes_them_at_its_recommended_cost(variables: dict[str, str]) -> None:
    """Here, as tests in process hash at the least cost."""
    with closing(sqlite3.connect(Path(variables["AMASIA_HOME"]) / "amasia.db")) as db:
        ((kept,),) = db.execute("SELECT password_hash FROM users WHERE password_hash IS NOT NULL").fetchall()
    assert extract_parameters(kept) == profiles.RFC_9106_LOW_MEMORY
    assert extract_parameters(users._NOBODY) == profiles.RFC_9106_LOW_MEMORY  # so that nobody's takes as long


def test_status_is_one_screen_and_the_same_as_json(run: Run) -> None:
    text = run("status").stdout
    for name in ("control plane", "object store", "workspace", "runs", "budget"):
        assert name in text
    found = data(run, "status")
    assert isinstance(found, dict)
    assert found["health"]["ok"]


def test_a_cluster_from_its_start_to_its_end(run: Run) -> None:
    made = data(run, "cluster", "start", "story", "--workers", "1", "--memory", "512 MiB")
    assert isinstance(made, dict)
    assert made["status"] == "running"
    assert "story" in run("cluster", "list").stdout
    assert "scheduler 0" in run("cluster", "show", "story").stdout
    assert "distributed.scheduler" in run("cluster", "logs", "story").stdout
    assert "will have 2 workers" in run("cluster", "scale", "story", "2").stderr
    assert run("cluster", "scale", "story").returncode == 2
    refused = run("cluster", "stop", "story")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    stopped = data(run, "cluster", "stop", "story", "--yes")
    assert isinstance(stopped, dict)
    assert stopped["status"] == "stopped"
    assert {machine["status"] for machine in stopped["machines"]} == {"stopped"}
    costs = data(run, "cost")
    assert isinstance(costs, dict)
    assert costs["amount"] >= stopped["amount"] > 0
    for cut in ("by_user", "by_cluster", "by_repository"):
        assert sum(line["amount"] for line in costs[cut]) == costs["amount"]
    assert "story" in run("cost", "--by", "cluster").stdout


def test_the_shell_completes_names_that_the_control_plane_knows(run: Run) -> None:
    line = "amasia workspace use d"
    completed = run(_AMASIA_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD="3")
    assert completed.stdout.split() == ["demo"]


def test_budget_token_workspace_and_audit_by_command_line(run: Run, tmp_path: Path) -> None:
    assert "25.00 EUR" in run("budget", "set", "25.00").stdout
    assert run("budget", "set", "a lot").returncode == 2
    assert "5.00 EUR" in run("budget", "create", "daily", "5.00", "--tag", "project=x", "--per", "day").stdout
    assert "tag project=x\tday, until " in run("budget", "list").stdout
    assert run("budget", "delete", "daily", "--yes").returncode == 0
    assert run("budget", "create", "spring", "9.00", "--per", "grant", "--from", "2026-13-01").returncode == 2
    made = run("token", "create", "ci", "--scope", "read")
    assert run("whoami", AMASIA_TOKEN=made.stdout.strip()).returncode == 0
    tokens = data(run, "token", "list")
    assert isinstance(tokens, list)
    (ci,) = [token["id"] for token in tokens if token["label"] == "ci"]
    assert run("token", "revoke", ci, "--yes").returncode == 0
    assert run("whoami", AMASIA_TOKEN=made.stdout.strip()).returncode == 4
    assert run("workspace", "create", "oceans").returncode == 0
    assert "oceans" in run("workspace", "list").stdout
    assert run("workspace", "use", "nowhere").returncode == 1
    assert "(owner)" not in run("workspace", "members").stdout
    assert "budget.set" in run("audit", "log", "--verb", "budget").stdout
    assert "token.create" not in run("audit", "log", "--verb", "budget").stdout
    kept = tmp_path / "head.json"
    kept.write_text(run("audit", "head").stdout)
    (verdict,) = data(run, "audit", "verify", "--head", str(kept))
    assert (verdict["problem"], verdict["checked"]) == ("", json.loads(kept.read_text())["seq"])
    assert "token.create" in run("audit", "log", "--control-plane", "--last", "500").stdout
    kept.write_text(kept.read_text().replace('"hash": "', '"hash": "00'))
    wrong = run("audit", "verify", "--head", str(kept))
    assert (wrong.returncode, "was written anew" in wrong.stderr) == (1, True)


def test_the_next_command_says_once_that_a_budget_fills_up(run: Run, variables: dict[str, str]) -> None:
    user = json.loads(run("whoami", "--json").stdout)["user"]["name"]
    with closing(sqlite3.connect(Path(variables["AMASIA_HOME"]) / "amasia.db")) as db, db:
        db.execute(
            "INSERT INTO alerts (workspace, budget, percent, text, user, at) VALUES "
            "('demo', 'workspace', 80, '80 % of it are spent.', ?, '2026-11-25 00:00:00.000000')",
            (user,),
        )
    assert "80 %" not in run("whoami", "--json").stderr
    said = run("whoami")
    assert said.stderr == "note: 80 % of it are spent.\n"
    assert "80 %" not in said.stdout
    assert run("whoami").stderr == ""


def test_doctor_finds_it_well(run: Run) -> None:
    checks = data(run, "doctor")
    assert isinstance(checks, list)
    assert all(check["ok"] for check in checks if check["needed"])


def test_doctor_names_a_profile_that_others_can_read(run: Run, variables: dict[str, str], tmp_path: Path) -> None:
    profile = tmp_path / "open.json"
    profile.write_text(Path(variables["AMASIA_PROFILE"]).read_text())
    profile.chmod(0o644)
    ran = run("doctor", AMASIA_PROFILE=str(profile))
    assert ran.returncode == 1
    assert f"chmod 600 {profile}" in ran.stdout


def test_a_second_home_on_the_same_port_is_refused_with_the_servers_own_words(
    run: Run, variables: dict[str, str], tmp_path: Path
) -> None:
    ran = run("up", AMASIA_HOME=str(tmp_path / "second"))
    assert ran.returncode == 1
    assert f"127.0.0.1:{variables['AMASIA_PORT']} cannot be listened on" in ran.stderr
    assert "--port" in ran.stderr
    assert processes.server(tmp_path / "second") is None


def test_a_home_that_cannot_be_is_named() -> None:
    ran = amasia("up", AMASIA_HOME="/dev/null/home")
    assert ran.returncode == 1
    assert "/dev/null/home" in ran.stderr
    assert "bug" not in ran.stderr


def test_down_where_nothing_runs_says_so_and_may_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        ran = amasia("down")
        assert ran.returncode == 0
        assert "was not running" in ran.stderr


def test_killed_and_started_again_it_finds_its_machines(run: Run, variables: dict[str, str]) -> None:
    """Last of the module: machines outlive a kill, ``down`` says until when, and ``up`` finds them again."""
    made = data(run, "cluster", "start", "survivor", "--workers", "1", "--memory", "512 MiB")
    assert isinstance(made, dict)
    settings = ServerSettings(home=Path(variables["AMASIA_HOME"]), lease_seconds=20)
    server = processes.server(settings.home)
    assert server is not None
    server.send_signal(signal.SIGKILL)
    psutil.wait_procs([server], timeout=10)
    ids = {machine["id"] for machine in made["machines"]}
    assert {machine.id for machine in processes.left_machines(settings)} == ids
    down = run("down", "--yes")
    assert down.returncode == 0
    assert all(one in down.stderr for one in ids)
    assert "lease ends it by" in down.stderr
    assert processes.store(settings.home) is not None  # tasks may still commit
    assert run("up").returncode == 0
    assert run("cluster", "stop", "survivor", "--yes").returncode == 0
    end = monotonic() + 20
    while processes.left_machines(settings) and monotonic() < end:
        sleep(0.2)
    assert processes.left_machines(settings) == []
