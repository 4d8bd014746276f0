"""Lines of requirements that read nothing but package indexes and addresses. Pure.

uv reads files wherever a line tells it to (``-r``, ``-e``, ``file://``, a path, ``${HOME}``), with
the builder's rights. What is let through is listed here; everything else is refused by name.
"""

import re
from typing import Final

from services.builder.errors import BuildFailedError

_NAME: Final = r"[A-Za-z0-9][-A-Za-z0-9._]*(?: ?\[[-\w., ]*\])?"
_AFTER: Final = r"(?: ?;.*)?"
_VERSIONED: Final = re.compile(rf"({_NAME})(?: ?\(?[<>=!~][-\w.*+!<>=~, ]*\)?)?{_AFTER}")
_ADDRESSED: Final = re.compile(
    rf"(?:{_NAME} ?@ ?)?(?:(?:git\+)?https?|git\+ssh)://[^ \\]+{_AFTER}", re.IGNORECASE
)
_OPTION: Final = re.compile(
    r"--pre|--prefer-binary|--use-[-\w=]+|--trusted-host[= ][-\w.:]+"
    r"|(?:--only-binary|--no-binary)[= ](?::all:|[-\w.]+(?:,[-\w.]+)*)"
    r"|(?:-f|--find-links)[= ]https?://[^ \\]+"
)
_HASH: Final = re.compile(r" --hash[= ]\w+:[0-9a-f]+")
_FILE: Final = re.compile(r"\.(?:whl|zip|tar|tgz|tbz|txz|tlz|gz|bz2|xz|lzma|zst)$", re.IGNORECASE)
_LONGEST: Final = 2000


def require_harmless(requirements: str) -> None:
    """Raises ``BuildFailedError`` for a line that could read what is not an index's."""
    for line in requirements.splitlines():
        if not _is_harmless(line.strip()):
            raise BuildFailedError(
                "requirements-refused",
                f"the requirement {line.strip()[:200]!r} is refused: packages come from an index,"
                " or from https:// and git+https:// addresses; files of the bento, other files of"
                " requirements and variables are not read",
            )


def _is_harmless(line: str) -> bool:
    line = _HASH.sub("", " ".join(line.split(" #", maxsplit=1)[0].split()))
    if not line or line.startswith("#"):
        return True
    if "${" in line or len(line) > _LONGEST:
        return False
    if _OPTION.fullmatch(line):
        return True
    if " -" in line:
        return False
    named = _VERSIONED.fullmatch(line)
    return not _FILE.search(named[1]) if named else bool(_ADDRESSED.fullmatch(line))
