"""What was begun is on disk before it is sent, for its owner alone."""

import os
import threading

from amasia.models.base import now
from amasia.providers.launches import Launch, Launches


def test_a_request_outlives_who_wrote_it(tmp_path):
    launch = Launch(tries=2, asked_at=now(), request={"UserData": "join token"})
    with Launches(tmp_path).locked("ma-1"):
        Launches(tmp_path).put("ma-1", launch)
    assert Launches(tmp_path).get("ma-1") == launch
    assert Launches(tmp_path).get("ma-2") == Launch()
    for path in (tmp_path / "launches").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_one_start_of_a_machine_at_a_time(tmp_path):
    launches, order = Launches(tmp_path), []

    def start():
        with Launches(tmp_path).locked("ma-1"):
            order.append("second")

    with launches.locked("ma-1"):
        other = threading.Thread(target=start)
        other.start()
        other.join(0.3)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_a_stop_is_remembered_and_its_name_is_no_path(tmp_path):
    launches = Launches(tmp_path)
    launches.stop("ma-1")
    launches.stop("../ma-2")
    assert launches.is_stopped("ma-1")
    assert not launches.is_stopped("ma-2")
    assert [path.name for path in tmp_path.rglob("*.stopped")] == ["ma-1.stopped"]


def test_only_what_is_old_and_over_is_forgotten(tmp_path):
    launches = Launches(tmp_path)
    for name in ("old", "alive", "new"):
        launches.put(name, Launch(tries=1))
    for name in ("old", "alive"):
        os.utime(tmp_path / "launches" / f"{name}.json", (0, 0))
    launches.forget(["alive"])
    assert {path.stem for path in (tmp_path / "launches").iterdir()} == {"alive", "new"}
