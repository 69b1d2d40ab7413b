"""The verbs of clusters, against a real API with no machines behind it."""

import pytest

from amasia.client import alerts, budgets, clusters, workspaces
from amasia.errors import BudgetExceeded, Conflict, InvalidRequest, NotFound, PermissionDenied, TimedOut, TooLarge
from amasia.models.clusters import Cluster, ClusterSpec, ClusterStatus, ClusterTarget
from tests.client.conftest import ControlPlane

SPEC = ClusterSpec(n_workers=2)


def made(control_plane: ControlPlane, spec: ClusterSpec = SPEC, name: str | None = "climate") -> Cluster:
    return clusters.create(spec, control_plane.environment, name)


def test_a_wish_is_written_and_found_by_name_and_id(control_plane: ControlPlane) -> None:
    cluster = made(control_plane)
    assert cluster.status == ClusterStatus.starting
    assert len(cluster.machines) == 3
    assert clusters.get("climate").id == clusters.get(cluster.id).id == cluster.id
    assert [one.id for one in clusters.find()] == [cluster.id]


def test_a_cluster_that_is_not_there_is_named(control_plane: ControlPlane) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        clusters.get("nowhere")


def test_a_second_cluster_of_the_same_name_is_a_conflict(control_plane: ControlPlane) -> None:
    made(control_plane)
    with pytest.raises(Conflict, match="climate"):
        made(control_plane)


def test_a_budget_that_cannot_hold_it_starts_nothing(control_plane: ControlPlane) -> None:
    budgets.set("0")
    with pytest.raises(BudgetExceeded):
        made(control_plane)
    assert clusters.find(stopped=True) == []


def test_workers_larger_than_any_machine_are_refused(control_plane: ControlPlane) -> None:
    with pytest.raises(TooLarge):
        made(control_plane, ClusterSpec(worker_memory=1 << 50))
    assert clusters.find(stopped=True) == []


def test_scaling_and_adapting_exclude_each_other(control_plane: ControlPlane) -> None:
    made(control_plane)
    adaptive = clusters.adapt("climate", 0, 5)
    assert (adaptive.spec.minimum, adaptive.spec.maximum) == (0, 5)
    fixed = clusters.scale("climate", 3)
    assert (fixed.wanted_workers, fixed.spec.minimum) == (3, None)
    with pytest.raises(InvalidRequest):
        clusters.adapt("climate", 5, 0)


def test_stop_may_be_repeated(control_plane: ControlPlane) -> None:
    made(control_plane)
    clusters.stop("climate")
    clusters.stop("climate")
    assert clusters.get("climate").target == ClusterTarget.stopped


def test_following_sees_a_change_at_once(control_plane: ControlPlane) -> None:
    cluster = made(control_plane)
    news = clusters.follow(cluster)
    assert next(news).version == cluster.version
    clusters.scale(cluster.id, 3)
    assert next(news).wanted_workers == 3


def test_following_ends_after_its_time_and_the_cluster_goes_on(control_plane: ControlPlane) -> None:
    cluster = made(control_plane)
    with pytest.raises(TimedOut, match="climate is still starting"):
        list(clusters.follow(cluster, timeout=0.3))
    assert clusters.get("climate").target == ClusterTarget.running


def test_somebody_elses_keys_are_not_given(control_plane: ControlPlane) -> None:
    made(control_plane)
    eve = control_plane.another("eve")
    with pytest.raises((PermissionDenied, NotFound)):
        clusters.security("climate", "demo", connection=eve)


def test_there_is_no_log_before_there_are_machines(control_plane: ControlPlane) -> None:
    made(control_plane)
    assert clusters.log("climate") == []


def test_what_fills_a_budget_is_told_once_to_whoever_asks_first(control_plane: ControlPlane) -> None:
    budgets.create("climate", "0.005", tag="project=climate")
    made(control_plane, ClusterSpec(n_workers=3, tags={"project": "climate"}))
    assert [(one.budget, one.percent) for one in alerts.find()] == [("climate", 50)]
    assert [one.text[:38] for one in alerts.take()] == ["50 % of the budget 'climate' (tag proj"]
    assert alerts.take() == []


def test_what_costs_more_than_the_threshold_starts_only_when_it_is_confirmed(control_plane: ControlPlane) -> None:
    workspaces.set_confirm_above("0.10")
    spec = ClusterSpec(n_workers=1, minimum=1, maximum=2)
    quote = clusters.quote(spec)
    assert (quote.machines, quote.rate, quote.most, quote.asks) == (2, 90_000, 135_000, True)
    with pytest.raises(InvalidRequest, match=r"may cost 0\.14 EUR per hour.*more than 0\.10 EUR.*confirm=True"):
        made(control_plane, spec)
    assert clusters.find() == []
    clusters.create(spec, control_plane.environment, confirmed=True)
    made(control_plane, ClusterSpec(n_workers=1))
    workspaces.set_confirm_above(None)
    assert not clusters.quote(spec).asks
