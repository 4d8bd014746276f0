"""What the machine that runs an image is called by those who choose wheels for it. Pure."""

import re
from typing import Final

from services.builder.errors import BuildFailedError

_MACHINES: Final = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_LIBC: Final = re.compile(r"(glibc|musl) (\d+)\.(\d+)")
_MANYLINUX: Final = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
"""Of glibc 2.x: those that uv knows by name."""
_MUSLLINUX: Final = (1, 2)


def platform_of_uv(platform: str, libc: str) -> str:
    """``linux/amd64`` with ``glibc 2.36`` is ``x86_64-manylinux_2_36``."""
    found = _LIBC.fullmatch(libc)
    if platform not in _MACHINES or found is None:
        raise BuildFailedError(
            "platform-not-supported", f"no wheels can be chosen for {platform} with {libc!r}"
        )
    kind, minor = found[1], int(found[3])
    known = _MANYLINUX if kind == "glibc" else _MUSLLINUX
    fitting = [each for each in known if each <= minor]
    if not fitting:
        raise BuildFailedError("platform-not-supported", f"{libc} is older than any wheel's")
    if kind == "glibc":
        return f"{_MACHINES[platform]}-manylinux_2_{fitting[-1]}"
    return f"{_MACHINES[platform]}-unknown-linux-musl"
