"""A proxy for HTTPS, so that computers with no way out reach a package index: what many institutes have."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def proxy(host: str) -> Iterator[str]:
    """Its URL; it listens on that address of this computer."""
    with socket.create_server((host, 0)) as listener:
        loop = asyncio.new_event_loop()
        task = loop.create_task(_serve(listener))
        thread = threading.Thread(target=loop.run_until_complete, args=(task,), name="proxy", daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join(5)
            loop.close()


async def _serve(listener: socket.socket) -> None:
    server = await asyncio.start_server(_connect, sock=listener)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    finally:
        server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        if method != b"CONNECT":
            writer.write(b"HTTP/1.1 405 Only CONNECT\r\n\r\n")
            return
        host, _, port = target.decode().rpartition(":")
        out_reader, out_writer = await asyncio.open_connection(host, int(port))
        with contextlib.closing(out_writer):
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            await asyncio.gather(_pour(reader, out_writer), _pour(out_reader, writer))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
