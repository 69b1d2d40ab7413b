"""``python -m amasia.gateway FD``: serves on a listening socket that the control plane opened, until that is gone."""

import argparse
import asyncio
import os
import signal
import socket
import ssl
import sys
import threading

import uvloop

from amasia.database.engine import Database
from amasia.database.masters import open_masters
from amasia.gateway.doors import Gateway
from amasia.settings import ServerSettings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m amasia.gateway", description=__doc__)
    parser.add_argument("fd", type=int)
    listener = socket.socket(fileno=parser.parse_args().fd)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    uvloop.run(serve(ServerSettings(), listener))


async def serve(settings: ServerSettings, listener: socket.socket) -> None:
    db = Database(settings.sqlalchemy_url, open_masters(settings))
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    gateway = Gateway(db, secure=settings.secure)
    server = await loop.create_server(gateway.arrival, sock=listener, ssl=_context(settings), backlog=1024)
    pulse = loop.create_task(gateway.agents.pulse())
    await over.wait()
    pulse.cancel()
    server.close()
    db.close()


def _context(settings: ServerSettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
