from amasia.environments import versions


def test_differences_are_said_in_words():
    ours = {"python": "3.13.0", "numpy": "2.3.1", "lz4": "4.4", "dask": "2026.8.0"}
    theirs = {"python": "3.13.0", "numpy": "2.2.0", "toolz": "1.0", "dask": "2026.8.0"}
    assert versions.differences(ours, theirs) == [
        "lz4 is 4.4 here and is not installed on the workers",
        "numpy is 2.3.1 here and 2.2.0 on the workers",
        "toolz is not installed here and is 1.0 on the workers",
    ]
    assert versions.differences(ours, ours) == []


def test_a_stamp_is_taken_off_again():
    for version in ("0.1.0", "0.1.dev3+gabc123"):
        stamped = versions.stamp(version, "0123456789abcdef")
        assert stamped != version
        assert versions.without_stamp(stamped) == version


def test_this_process_has_versions():
    assert {"python", "numpy", "dask", "amasia"} <= versions.here().keys()
