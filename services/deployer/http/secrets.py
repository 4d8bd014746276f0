"""BentoML's secrets, and the rotation of the keys that seal them.

Values come in; they leave for builds alone.
"""

from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, StringConstraints

from libs.chassis.http import Route, principal
from libs.chassis.problems import json_response, read_body
from libs.contracts.deployer import SecretsWanted
from services.deployer import views
from services.deployer.domain.names import known_cluster
from services.deployer.domain.secret import HOME, Item, Kind, Stage
from services.deployer.service import Content, Secrets

_BASE: Final = "/api/v1/org_secrets"
_LIMIT: Final = 2**20
_BUILDER: Final = frozenset({"builder"})
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=4096)]


class ItemBody(BaseModel):
    key: Text
    value: str
    sub_path: Text | None = None


class ContentBody(BaseModel):
    """Clients before ``stage`` meant secrets of running processes."""

    type: Literal["env", "mountfile"]
    items: list[ItemBody]
    path: Text | None = None
    stage: Literal["build", "runtime", "all"] = "runtime"

    def content(self) -> Content:
        kind = Kind(self.type)
        return Content(
            kind=kind,
            stage=Stage(self.stage),
            path=(self.path or HOME) if kind is Kind.FILE else None,
            items=[(Item(each.key, each.sub_path), each.value) for each in self.items],
        )


class ApplyBody(BaseModel):
    """PATCH: all items; a description that is null stays as it is."""

    content: ContentBody
    description: Text | None = None


class CreateBody(ApplyBody):
    name: Text


class SecretsApi:
    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def routes(self) -> list[Route]:
        one = f"{_BASE}/{{name}}"
        return [
            Route("GET", _BASE, self.all, action="secret.read"),
            Route("POST", _BASE, self.create, action="secret.create"),
            Route("GET", one, self.one, action="secret.read"),
            Route("PATCH", one, self.apply, action="secret.update"),
            Route("DELETE", one, self.delete, action="secret.delete"),
            Route("POST", "/api/secrets/rotate", self.rotate, action="secret.rotate"),
            Route(
                "POST",
                "/internal/secrets/opened",
                self.opened,
                action="secret.open",
                issuers=_BUILDER,
            ),
        ]

    async def all(self, request: web.Request) -> web.Response:
        """All of them: the client asks for ten, and never for the next ten."""
        known_cluster(request.query.get("cluster", ""))
        search = request.query.get("search", "").replace("\0", "")
        found = await self._secrets.all(principal(request).org_id, search=search)
        items = [views.secret_view(each) for each in found]
        return json_response(views.list_view(items, start=0, count=len(items), total=len(items)))

    async def create(self, request: web.Request) -> web.Response:
        known_cluster(request.query.get("cluster", ""))
        body = await read_body(request, CreateBody, limit=_LIMIT)
        made = await self._secrets.create(
            body.name,
            body.content.content(),
            description=body.description or "",
            principal=principal(request),
        )
        return json_response(views.secret_view(made))

    async def one(self, request: web.Request) -> web.Response:
        """Its keys: clients tell by them which variables a deployment has."""
        found = await self._secrets.one(principal(request).org_id, _name(request))
        return json_response(views.secret_view(found))

    async def apply(self, request: web.Request) -> web.Response:
        body = await read_body(request, ApplyBody, limit=_LIMIT)
        made = await self._secrets.replace(
            _name(request),
            body.content.content(),
            description=body.description,
            principal=principal(request),
        )
        return json_response(views.secret_view(made))

    async def delete(self, request: web.Request) -> web.Response:
        gone = await self._secrets.delete(_name(request), principal=principal(request))
        return json_response(views.secret_view(gone))

    async def rotate(self, _: web.Request) -> web.Response:
        """Everything is sealed anew with the first key; afterwards older ones may go."""
        sealed = await self._secrets.rotate()
        answer: dict[str, Any] = {"secrets": sealed, "key": self._secrets.key_id}
        return json_response(answer)

    async def opened(self, request: web.Request) -> web.Response:
        """Values of one organisation's secrets, for a build that uses them."""
        wanted = await read_body(request, SecretsWanted)
        found = await self._secrets.for_build(principal(request).org_id, wanted)
        return json_response(found, headers={"Cache-Control": "no-store"})


def _name(request: web.Request) -> str:
    known_cluster(request.query.get("cluster", ""))
    return request.match_info["name"].replace("\0", "")
