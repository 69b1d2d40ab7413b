import pytest

from amasia.client import inputs, sizes
from amasia.client.transport import Connection
from amasia.errors import InvalidRequest
from amasia.models.clusters import ClusterSpec


@pytest.mark.parametrize(
    ("text", "bytes_"), [("1 GiB", 1 << 30), ("500 MB", 500_000_000), (1024, 1024), ("2GB", 2 * 10**9)]
)
def test_sizes_are_read_as_dask_reads_them(text: str | int, bytes_: int) -> None:
    assert sizes.memory(text) == bytes_


@pytest.mark.parametrize(
    ("text", "seconds"), [("20 minutes", 1200), ("90s", 90), (5, 5), (None, 0), ("1.5 hours", 5400)]
)
def test_times_are_read_as_dask_reads_them(text: str | int | None, seconds: float) -> None:
    assert sizes.seconds(text) == seconds


@pytest.mark.parametrize("text", ["one GiB", "1 parsec", None])
def test_a_size_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidRequest, match="1 GiB"):
        sizes.memory(text)


@pytest.mark.parametrize("text", ["soon", "5 lightyears", []])
def test_a_time_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidRequest, match="20 minutes"):
        sizes.seconds(text)


def test_money_is_read_exactly() -> None:
    assert inputs.amount("0.1") == 100_000
    assert inputs.amount(12) == 12_000_000
    with pytest.raises(InvalidRequest, match="as text"):
        inputs.amount(0.1)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="1e3"):
        inputs.amount("1e3")
    for text in ("9" * 4296, "1" * 41, "\u00b2", "\u0663"):
        with pytest.raises(InvalidRequest, match="no amount of money"):
            inputs.amount(text)


def test_a_wish_that_cannot_be_names_its_field_and_what_was_given() -> None:
    with pytest.raises(InvalidRequest, match=r"n_workers.*got -1"):
        inputs.request(ClusterSpec, n_workers=-1)


def test_a_wish_that_contradicts_itself_says_how() -> None:
    with pytest.raises(InvalidRequest, match=r"minimum \(3\) is greater than maximum \(1\)") as raised:
        inputs.request(ClusterSpec, minimum=3, maximum=1)
    assert "Value error" not in str(raised.value)


@pytest.mark.parametrize("name", ["", "..", ".", "../budgets", "?x", "a b", "a#b", "a%2Fb", "a\\b", "a\nb"])
def test_a_name_that_would_be_another_address_is_refused_before_it_is_sent(name: str) -> None:
    with pytest.raises(InvalidRequest, match="is no address"):
        Connection("http://127.0.0.1:9", "secret").send("GET", f"/v1/workspaces/demo/locations/{name}")
