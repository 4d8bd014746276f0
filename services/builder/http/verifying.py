"""Images for those who check them: what lies beside one, who signed it, and built once more."""

from typing import Final

from aiohttp import web

from libs.chassis.client import OrgRef
from libs.chassis.http import Route, principal
from libs.chassis.openapi import Operation
from libs.chassis.problems import json_response
from services.builder.domain import BuildView
from services.builder.errors import ImageGoneError
from services.builder.service import Judged, Verifying

_ONE: Final = "/api/images/{digest}"
_READ: Final = "build.read"
_DEPLOYER: Final = frozenset({"deployer"})
_DIGEST: Final = len("sha256:") + 64


class VerifyingApi:
    def __init__(self, verifying: Verifying) -> None:
        self._verifying = verifying

    def routes(self) -> list[Route]:
        asked = "/internal/images/{digest}/verdict"
        return [
            Route("GET", f"{_ONE}/sbom", self.sbom, action=_READ, operation=_SBOM),
            Route("GET", f"{_ONE}/provenance", self.provenance, action=_READ, operation=_MADE),
            Route("GET", f"{_ONE}/verdict", self.verdict, action=_READ, operation=_VERDICT),
            Route("POST", f"{_ONE}/verify", self.verify, action="build.create", operation=_VERIFY),
            Route("GET", asked, self.verdict, action="image.verify", issuers=_DEPLOYER),
        ]

    async def sbom(self, request: web.Request) -> web.Response:
        return await self._document(request, "sbom")

    async def provenance(self, request: web.Request) -> web.Response:
        return await self._document(request, "provenance")

    async def verdict(self, request: web.Request) -> web.Response:
        org = OrgRef.of(principal(request))
        return json_response(await self._verifying.verdict(org, _digest(request)))

    async def verify(self, request: web.Request) -> web.Response:
        build = await self._verifying.rebuild(principal(request), _digest(request))
        return json_response(build, status=202)

    async def _document(self, request: web.Request, kind: str) -> web.Response:
        org = OrgRef.of(principal(request))
        media_type, content = await self._verifying.document(org, _digest(request), kind)
        return web.Response(body=content, content_type=media_type)


def _digest(request: web.Request) -> str:
    digest = request.match_info["digest"]
    if len(digest) != _DIGEST or not digest.startswith("sha256:"):
        raise ImageGoneError(digest[:100])
    return digest


_SBOM: Final = Operation("image_bill", "What is inside an image (CycloneDX)", answer=bytes)
_MADE: Final = Operation("image_provenance", "How an image was made (SLSA)", answer=bytes)
_VERDICT: Final = Operation(
    "image_verdict", "Whether a key that the platform believes signed an image", answer=Judged
)
_VERIFY: Final = Operation(
    "verify_image",
    "Build an image again from its provenance; the build fails where another one comes out",
    answer=BuildView,
    status=202,
)
