"""The catalog's words, places and times, and who finds what: the same on both databases."""

from datetime import timedelta

import pytest

from amasia import errors
from amasia.database import datasets as rows
from amasia.models.base import now
from amasia.models.datasets import Box, Content, Contents, Query, Variable, seconds
from amasia.models.repositories import RepositoryRequest
from amasia.services import datasets, repositories
from show import catalogs


@pytest.fixture
def described(world):
    """Puts a dataset into the catalog of lab; its name is its repository's and its title."""

    def put(name, *, who=world.ada, workspace="lab", groups=None, **content):
        repositories.create(world.db, who, workspace, RepositoryRequest(name=name))
        repository = repositories.get(world.db, workspace, name)
        found = groups or (Content(group="/", title=name, **content),)
        datasets.described(world.db, repository, "S1", now(), Contents(snapshot="S1", groups=found))
        return repository

    return put


def search(world, who=None, **query):
    return [one.title for one in datasets.search(world.db, who or world.ada, Query(**query))]


def variable(name, standard="", long=""):
    return Variable(name=name, standard_name=standard, long_name=long)


def test_words_are_found_at_their_beginnings_in_any_case_and_form(world, described):
    described("sst", variables=(variable("tos", "sea_surface_temperature"),), attributes={"source": "Météo-France"})
    described("wind", variables=(variable("uas", long="Eastward winds"),))
    assert search(world, text="TEMPERATURES") == ["sst"]
    assert search(world, text="surf temp") == ["sst"]
    assert search(world, text="wind") == ["wind"]
    assert search(world, text="surface wind") == []
    assert search(world, text="météo") == ["sst"]


@pytest.mark.parametrize("text", ['"', "' OR 1=1 --", "a AND", "NEAR(", "*", ":", "a:b & !c | (", "\0", "-", "tos NOT"])
def test_no_word_is_an_operator(world, described, text):
    described("tos")
    assert set(search(world, text=text)) <= {"tos"}


def test_a_title_weighs_more_than_an_attribute(world, described):
    described("salinity")
    described("other", attributes={"history": "salinity removed"})
    assert search(world, text="salinity") == ["salinity", "other"]


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ((170, -20, 175, -15), []),
        ((170, -20, 179, -15), ["fiji"]),
        ((-179, -20, -170, -15), ["fiji"]),
        ((175, -20, -175, -15), ["fiji"]),
        ((-10, 50, 5, 60), ["uk"]),
        ((100, -90, -100, 90), ["fiji"]),
        ((-180, -90, 180, 90), ["fiji", "uk"]),
    ],
)
def test_places_overlap_also_across_the_180th_meridian(world, described, box, found):
    described("fiji", box=Box(west=177, south=-20, east=-178, north=-15))
    described("uk", box=Box(west=-10, south=50, east=2, north=58))
    described("nowhere")
    asked = Box(**dict(zip(("west", "south", "east", "north"), box, strict=True)))
    assert sorted(search(world, box=asked)) == found


def test_times_overlap_with_both_ends(world, described):
    described("march", begin_at=seconds("2019-03"), end_at=seconds("2019-03", last=True))
    described("ice-age", begin_at=seconds("-20000"), end_at=seconds("-10000"))
    assert search(world, since=seconds("2019-03-31T23:59:59Z")) == ["march"]
    assert search(world, until=seconds("-15000")) == ["ice-age"]
    assert search(world, since=seconds("2019-04")) == []


def test_variables_and_standard_names_are_exact(world, described):
    described("a", variables=(variable("Tas", "air_temperature"),))
    described("b", variables=(variable("tasmax"),))
    assert search(world, variable="tas") == ["a"]
    assert search(world, standard_name="air_temperature") == ["a"]


def test_nobody_finds_what_they_may_not_read(world, described):
    described("ours")
    described("theirs", who=world.eve, workspace="other")
    assert (search(world), search(world, world.bo), search(world, world.eve)) == (["ours"], ["ours"], ["theirs"])
    assert search(world, world.bo, workspace="other") == []
    bound = world.ada.model_copy(update={"workspace": "other"})
    assert search(world, bound) == []
    with pytest.raises(errors.NotFound, match="no repository"):
        datasets.readable(world.db, world.eve, "lab", "ours", "dataset.get")


def test_a_second_look_replaces_the_first_and_a_removed_repository_leaves_nothing(world, described):
    repository = described("first", variables=(variable("t"),), previews={"t": "<svg/>"})
    again = Contents(snapshot="S2", groups=(Content(group="b", title="second"),))
    datasets.described(world.db, repository, "S2", now(), again)
    assert search(world) == ["second"]
    assert search(world, text="first") == ["second"]  # the repository is still called so
    repositories.delete(world.db, world.ada, "lab", "first")
    assert search(world) == []
    datasets.described(world.db, repository, "S3", now(), again)  # a look that ended after the removal
    assert search(world) == []


def test_a_failed_look_waits_longer_each_time_and_keeps_what_was_known(world, described):
    repository = described("kept")
    pauses = [datasets.undescribed(world.db, repository, "S2", "it broke") for _ in range(20)]
    assert pauses[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert max(pauses) == datasets.LONGEST_PAUSE
    assert search(world) == ["kept"]


def test_pages_of_a_search_hold_each_once(world):
    with world.db.write() as tx:
        assert rows.search(tx, rows.visible(world.ada), Query(), 10) == []
    catalogs.fill(world.db, "lab", 60, seed=7, per_repository=20)
    pages = [datasets.search(world.db, world.ada, Query(text="a"), 25, after) for after in (0, 25, 50)]
    every = [f"{one.repository}{one.group}" for page in pages for one in page]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("text", ["yesterday", "2020-13", "2020-02-30", "2020-01-01T25:00", "", "1e9", "20201231"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="no time"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("1970", 0, 365 * 86400 - 1),
        ("1970-02", 31 * 86400, 59 * 86400 - 1),
        ("1970-01-02", 86400, 2 * 86400 - 1),
        ("1970-01-01T01:00:00+01:00", 0, 0),
        ("1969-12-31T23:59:59Z", -1, -1),
    ],
)
def test_times_mean_all_of_what_they_say(text, first, last):
    assert (seconds(text), seconds(text, last=True)) == (first, last)
