import pytest

from amasia.models.sizes import GIB, MIB, memory, volume


@pytest.mark.parametrize(
    ("nbytes", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (int(999.7 * MIB), "0.976 GiB"),
        (3 * GIB // 2, "1.5 GiB"),
    ],
)
def test_what_data_take_up_is_said_in_three_digits(nbytes: int, said: str) -> None:
    assert volume(nbytes) == said


def test_memory_is_said_as_machines_have_it() -> None:
    assert [memory(one) for one in (300 * MIB, 1023 * MIB, 16 * GIB)] == ["300 MiB", "1.0 GiB", "16.0 GiB"]
