"""Where bytes come that were not sent to a store, and how clients are told to send."""

import re
from typing import Final
from uuid import UUID

from aiohttp import web

from libs.chassis.blobs import BlobStore
from libs.chassis.http import Route, accept_body, principal
from libs.chassis.openapi import Body, Operation
from libs.chassis.problems import json_response, read_body
from services.registry.domain import Strategy
from services.registry.errors import TransferUnknownError
from services.registry.http.receiving import Receiver, arriving
from services.registry.service import UseCases

_NUMBER: Final = re.compile("[1-9][0-9]{0,3}|10000")
"""Of a part, as S3 numbers them."""


class RegistrySettings(Body):
    """Of an organisation."""

    transmission_strategy: Strategy


class SignedApi:
    """Where bytes come that were not sent to a store. The gateway has checked the signature."""

    def __init__(self, cases: UseCases, blobs: BlobStore) -> None:
        self._transfers = cases.transfers
        self._uploads = cases.uploads
        self._receiver = Receiver(cases.uploads, blobs)

    def routes(self) -> list[Route]:
        one = "/api/registry/transfers/{transfer}"
        settings = "/api/registry/settings"
        return [
            *(
                Route("PUT", path, take, "transfer.update", defers_body=True, operation=said)
                for path, take, said in (
                    (one, self.put, _PUT),
                    (f"{one}/{{number}}", self.part, _PART),
                )
            ),
            Route("GET", settings, self.settings, action="setting.read", operation=_SETTINGS),
            Route("PUT", settings, self.choose, action="setting.update", operation=_CHOOSE),
        ]

    async def put(self, request: web.Request) -> web.Response:
        """The archive, as by ``upload``: it is the version's at once."""
        transfer = await self._transfers.one(principal(request).org_id, _id(request, "transfer"))
        repository, version = await self._transfers.version_of(transfer)
        await self._receiver.receive(request, repository, version)
        await self._transfers.give_up(version)
        return web.Response()

    async def part(self, request: web.Request) -> web.Response:
        transfer = await self._transfers.one(principal(request).org_id, _id(request, "transfer"))
        number = request.match_info["number"]
        if not _NUMBER.fullmatch(number):
            raise TransferUnknownError("parts are numbered from 1 to 10000")
        await accept_body(request)
        digest = await self._transfers.put_part(
            transfer,
            int(number),
            arriving(request, self._uploads.silence),
            size=request.content_length,
        )
        return web.Response(headers={"ETag": f'"{digest.removeprefix("sha256:")}"'})

    async def settings(self, request: web.Request) -> web.Response:
        strategy = await self._transfers.strategy(principal(request).org_id)
        return json_response(RegistrySettings(transmission_strategy=strategy))

    async def choose(self, request: web.Request) -> web.Response:
        body = await read_body(request, RegistrySettings)
        await self._transfers.choose(principal(request).org_id, body.transmission_strategy)
        return json_response(body)


def _id(request: web.Request, name: str) -> UUID:
    try:
        return UUID(request.match_info[name])
    except ValueError as error:
        raise TransferUnknownError("there is no such upload") from error


_PUT = Operation("send_archive", "Send an archive to a signed URL", body=bytes)
_PART = Operation("send_part", "Send one part of an archive to a signed URL", body=bytes)
_SETTINGS = Operation("registry_settings", "How clients are told to send", answer=RegistrySettings)
_CHOOSE = Operation(
    "put_registry_settings",
    "Say how clients are told to send",
    body=RegistrySettings,
    answer=RegistrySettings,
    once=True,
)
