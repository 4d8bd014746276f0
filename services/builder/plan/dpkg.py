"""What an image has of Debian, of the text of ``/var/lib/dpkg/status``. Pure."""

import re
from collections.abc import Iterator
from typing import Final

_FIELD: Final = re.compile(
    r"^(Package|Version|Architecture|Status|Source):[ \t]*(.*)$", re.MULTILINE
)


def installed(status: str) -> Iterator[dict[str, str]]:
    """Fields of packages that are there; what was removed and left its configuration is not."""
    for stanza in status.split("\n\n"):
        fields: dict[str, str] = {name: value.strip() for name, value in _FIELD.findall(stanza)}
        if fields.get("Status", "").split()[-1:] == ["installed"]:
            yield fields
