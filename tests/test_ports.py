"""Ports of this computer, of which some are free."""

import socket

from amasia import ports


def test_a_port_where_somebody_listens_is_not_free_and_is_again_when_they_end():
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((ports.LOOPBACK, port)), server.accept()[0] as answered:
            assert not ports.is_free(port)
            answered.close()  # first, so that the port is kept for a minute as it is after a server's end
    assert ports.is_free(port)


def test_free_ones_are_different_and_free():
    found = ports.several(20)
    assert len(set(found)) == 20
    assert all(map(ports.is_free, [*found, ports.free()]))
