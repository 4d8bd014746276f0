"""docs/api.md and docs/openapi/: every route of every service, as the routes themselves say."""

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final

from pydantic_core import to_json

from docs.generate.markdown import page, table
from libs.chassis.http import Route, described_by
from services.builder import http as builder
from services.deployer import http as deployer
from services.events.http import EventsApi
from services.gateway.http.identity import IdentityApi
from services.gateway.http.images import ImagesApi
from services.registry import http as registry

_INTRO: Final = """\
Every route that a service answers, with the action that its caller needs. Below `/api` and `/v2`
people and programs ask, through the gateway and with a token; below `/internal` services ask each
other, with an identity of their own. `/api/v1` and `/api/v2` are what BentoML's clients speak,
`/v2` is OCI distribution 1.1; the other routes are ours, and where a document of them is named
it says all that they take and give (OpenAPI 3.1; each service also answers with its own).

Errors are problems: [problems/](problems/README.md). Below `/api/registry` and `/api/builds`,
lists have `items` and `next`, the `cursor` of the page behind this one; and what changes something
in the registry takes an `Idempotency-Key`, with which it takes effect once, however often its
caller repeats it within a day: the repeated answer says `Idempotency-Replayed: true`."""

_PATTERN: Final = re.compile(r":[^{}]*}")


class _Unwired:
    """Stands for what a handler would use: routes are made and never called."""

    def __getattr__(self, name: str) -> "_Unwired":
        return self


def unwired() -> Any:
    return _Unwired()


def routes_of_services() -> dict[str, list[Route]]:
    nothing = unwired()
    return {
        "registry": registry.routes(nothing, nothing, nothing),
        "builder": builder.routes(nothing),
        "deployer": deployer.routes(nothing, nothing, public_url=""),
        "events": EventsApi(nothing, nothing).routes(),
        "gateway": [
            *IdentityApi(nothing).routes(),
            *ImagesApi(nothing, nothing, public_url="").routes(),
        ],
    }


def api_page() -> str:
    sections = [
        f"## {service}\n\n{_document(service)}{_table(routes)}"
        for service, routes in routes_of_services().items()
    ]
    return page("# API", _INTRO, *sections)


def openapi_documents() -> dict[str, str]:
    """By file name."""
    titles, routes = {"registry": registry.TITLE, "builder": builder.TITLE}, routes_of_services()
    return {
        f"{service}.json": to_json(described_by(title, routes[service]), indent=1).decode() + "\n"
        for service, title in titles.items()
    }


def _document(service: str) -> str:
    name = f"{service}.json"
    return f"[openapi/{name}](openapi/{name})\n\n" if name in openapi_documents() else ""


def _table(routes: Iterable[Route]) -> str:
    rows = [
        (
            each.method,
            f"`{_PATTERN.sub('}', each.path)}`",
            f"`{each.action}`",
            _asked_by(each),
            _summary(each),
        )
        for each in sorted(routes, key=lambda each: (each.path, each.method))
    ]
    return table(("method", "path", "action", "asked by", ""), rows)


def _path(route: Route) -> str:
    return f"`{_PATTERN.sub('}', route.path)}`"


def _asked_by(route: Route) -> str:
    return "" if route.issuers == {"gateway"} else ", ".join(sorted(route.issuers))


def _summary(route: Route) -> str:
    if route.operation is not None:
        return route.operation.summary
    said = inspect.getdoc(route.handler) or ""
    return said.partition("\n\n")[0].replace("``", "`").replace("\n", " ")
