import os
import subprocess

import pytest

from amasia.environments import sources


@pytest.fixture(params=["git", "no git"])
def project(tmp_path, request):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "code.py").write_text("A = 1\n")
    if request.param == "git":
        (tmp_path / ".gitignore").write_text("build/\n__pycache__/\n.cache/\n")
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def test_the_hash_changes_with_every_content_even_at_the_same_size_and_time(project):
    before = sources.content_hash(project)
    state = (project / "code.py").stat()
    (project / "code.py").write_text("A = 2\n")
    os.utime(project / "code.py", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert sources.content_hash(project) != before


def test_the_hash_changes_with_a_new_and_a_renamed_file(project):
    hashes = [sources.content_hash(project)]
    (project / "more.py").write_text("")
    hashes.append(sources.content_hash(project))
    (project / "more.py").rename(project / "other.py")
    hashes.append(sources.content_hash(project))
    assert len(set(hashes)) == 3


def test_the_hash_stays_with_times_and_junk(project):
    before = sources.content_hash(project)
    os.utime(project / "code.py", (1, 1))
    for folder in ("build", "__pycache__", ".cache"):
        (project / folder).mkdir()
        (project / folder / "x.pyc").write_text("")
    assert sources.content_hash(project) == before
