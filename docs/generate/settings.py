"""docs/settings.md: every variable that a service reads, from its settings class."""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from docs.generate.markdown import page, says, table
from libs.chassis.settings import ServiceSettings
from libs.chassis.variables import Variable

_SERVICES: Final = Path(__file__).parents[2] / "services"
_SERVICE: Final = "<SERVICE>"
_INTRO: Final = """\
`yokocho up` sets all of these itself. They matter where a service is started by other means, or
pointed at a Postgres or a NATS of your own. A variable that begins with a service's prefix and is
not listed here ends that service at its start, with the nearest name that exists."""


def services() -> Iterator[type[ServiceSettings]]:
    """Settings of every service, in the order of their names."""
    for path in sorted(_SERVICES.glob("*/settings.py")):
        module = importlib.import_module(f"services.{path.parent.name}.settings")
        yield module.Settings


def settings_page() -> str:
    shared = {each.name.replace("CHASSIS", _SERVICE): each for each in _shared()}
    return page(
        "# Settings",
        _INTRO,
        f"## Every service\n\n`{_SERVICE}` is the service's name in capital letters.\n\n"
        + _table(shared.items()),
        *(_section(each, set(shared)) for each in services()),
    )


def _shared() -> tuple[Variable, ...]:
    class Chassis(ServiceSettings):
        service = "chassis"

    return Chassis.variables()


def _section(settings: type[ServiceSettings], shared: set[str]) -> str:
    prefix = settings.prefix()
    own = [
        (each.name, each)
        for each in settings.variables()
        if each.name.replace(prefix, f"YOKOCHO_{_SERVICE}_") not in shared
    ]
    told = _table(own) if own else "Nothing of its own."
    return f"## {settings.service}\n\n{says(settings)}\n\n{told}"


def _table(variables: Iterable[tuple[str, Variable]]) -> str:
    rows = [(f"`{name}`", each.type, _default(each), each.description) for name, each in variables]
    return table(("variable", "type", "default", "meaning"), rows)


def _default(variable: Variable) -> str:
    if variable.default is None:
        return "**required**"
    return f"`{variable.default}`" if variable.default else ""
