"""Whether a PostgreSQL server takes connections, asked without a client library."""

import asyncio
import struct
from typing import Final

_PROTOCOL: Final = 3 << 16
_AUTHENTICATION: Final = b"R"


async def accepts(port: int) -> bool:
    """True once the server asks for a password: while starting or stopping it answers an error."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(_startup(user="postgres", database="postgres"))
                return await reader.readexactly(1) == _AUTHENTICATION
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


def _startup(**parameters: str) -> bytes:
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    packet = struct.pack("!I", _PROTOCOL) + body + b"\0"
    return struct.pack("!I", len(packet) + 4) + packet
