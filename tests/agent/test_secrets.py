"""A machine's processes have the secrets of their cluster, and nothing that a machine tells or keeps has them."""

from agent_tasks import last_words, shout

from amasia import errors

VALUE = "aXq-93.kd+zz/0 battery"


def lending(plane):
    plane.secrets = {"COPERNICUS_KEY": VALUE}
    plane.spec = {"n_workers": 1, "secrets": ["COPERNICUS_KEY"]}


def test_tasks_have_the_secret_and_what_they_print_of_it_is_hidden(plane):
    lending(plane)
    scheduler, (worker,) = plane.cluster()
    assert sorted(plane.lent) == sorted([scheduler, worker])
    with plane.client() as client:
        assert client.submit(shout, "COPERNICUS_KEY").result(timeout=20) == VALUE
        plane.wait(lambda: plane.log(worker).count("[secret COPERNICUS_KEY]") == 2)
    told = "".join(beat.model_dump_json() for beats in plane.heard.values() for beat in beats)
    assert VALUE not in told
    for machine in (scheduler, worker):
        for path in plane.home(machine).rglob("*"):
            if path.is_file():
                assert VALUE.encode() not in path.read_bytes(), path


def test_the_reason_of_a_death_is_hidden_too_and_the_next_process_has_the_secret(plane):
    lending(plane)
    _, (worker,) = plane.cluster()
    with plane.client() as client:
        lost = client.submit(last_words, "COPERNICUS_KEY")
        plane.wait(lambda: any(beat.deaths for beat in plane.heard[worker]), 20)
        del lost
        (death, *_) = [death for beat in plane.heard[worker] for death in beat.deaths]
        assert "last words: [secret COPERNICUS_KEY]" in death.reason
        plane.wait(lambda: plane.status(worker) == "running", 20)
        assert client.submit(shout, "COPERNICUS_KEY", pure=False).result(timeout=20) == VALUE


def test_a_machine_that_is_lent_nothing_says_why_and_starts_nothing(plane):
    lending(plane)
    plane.lends_not = errors.PermissionDenied("ada may no longer run anything in 'demo'.")
    machine = plane.start("worker")
    plane.wait(lambda: plane.status(machine) == "failed")
    assert plane.last(machine).process.reason == "it was lent no secrets: ada may no longer run anything in 'demo'."
    assert len(plane.processes(machine)) == 1


def test_a_machine_waits_for_its_secrets_as_long_as_nobody_answers(plane):
    lending(plane)
    plane.lends_not = errors.Unavailable("Not now.")
    machine = plane.start("scheduler")
    plane.wait(lambda: len(plane.heard[machine]) > 2)
    assert plane.status(machine) == "preparing"
    plane.lends_not = None
    plane.wait(lambda: plane.status(machine) == "running", 20)


def test_a_cluster_without_secrets_asks_for_none(plane):
    plane.cluster()
    assert plane.lent == []
