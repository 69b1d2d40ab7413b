from amasia.reconcilers import publications
from amasia.settings import ServerSettings


def test_what_is_published_is_served_here_where_the_libraries_are_and_elsewhere_where_the_operator_says_so(monkeypatch):
    for installed, own, served in ((True, True, True), (False, True, False), (False, False, True), (True, False, True)):
        monkeypatch.setattr(publications, "find_spec", lambda _, there=installed: there or None)
        settings = ServerSettings(publish=own)
        assert publications.served(settings) is served
        assert publications.possible(settings) is (installed and own)
