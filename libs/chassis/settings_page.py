"""The page that lists every setting. Which services there are, the caller knows."""

from collections.abc import Iterable, Iterator
from typing import Final

from libs.chassis.settings import ServiceSettings
from libs.chassis.variables import Variable

_HEAD: Final = """# Settings

Generated from the services' settings classes; do not edit. Every service reads its own environment
variables, once, when it starts. A variable with a service's prefix that is not listed here ends
that service with a message (what Kubernetes injects for Services is tolerated). `yokocho up` sets
everything that is required.
"""


def page(services: Iterable[type[ServiceSettings]]) -> str:
    """Markdown. Raises ``ValueError`` for a setting that nobody has described."""
    return "\n".join([_HEAD, *(_section(each) for each in services)])


def _section(settings: type[ServiceSettings]) -> str:
    rows = "\n".join(_rows(settings.variables()))
    return f"## {settings.service}\n\n| variable | type | default | |\n|---|---|---|---|\n{rows}\n"


def _rows(variables: Iterable[Variable]) -> Iterator[str]:
    for each in variables:
        if not each.description:
            raise ValueError(f"{each.name} has no description")
        default = "**required**" if each.default is None else each.default and f"`{each.default}`"
        yield f"| `{each.name}` | {each.type} | {default} | {each.description} |"
