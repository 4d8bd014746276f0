"""The strategy ``prebuilt``: an image that somebody else has built, checked and taken as it is."""

from collections.abc import Callable
from functools import partial
from typing import Final

from libs.chassis.client import OrgRef
from services.builder import plan
from services.builder.domain import Made
from services.builder.errors import BuildFailedError
from services.builder.oci import (
    Reference,
    ReferenceInvalidError,
    Registries,
    Remote,
    parse_platform,
    parse_reference,
)
from services.builder.oci.copying import images_of
from services.builder.oci.manifests import descriptor_of, document_of
from services.builder.service.containers import Prepared, Task

_OWN: Final = "oci://"
"""Before a repository of the platform's own registry."""


class Prebuilt:
    def __init__(self, registries: Registries, home: Callable[[OrgRef], Remote]) -> None:
        self._registries = registries
        self._home = home

    async def prepare(self, task: Task) -> Prepared:
        """Pinned by its digest now: what the name means later does not matter."""
        order = task.job.order
        given = order.wish.image or ""
        reference = _parsed(given)
        own = given.startswith(_OWN)
        if own:
            remote = self._home(OrgRef(order.org_id, order.org))
        else:
            remote = self._registries.remote(reference.registry)
        described = await remote.find(reference.repository, reference.wanted)
        if described is None:
            raise BuildFailedError("image-absent", f"there is no image {given}")
        platforms = [parse_platform(each) for each in order.wish.platforms or ("linux/amd64",)]
        found = await images_of(remote, reference.repository, described.digest, platforms=platforms)
        made = Made(
            described.digest,
            sum(_size(manifest) for _, _, manifest in found),
            reference.repository,
            reference.tag or "latest",
            "" if own else reference.registry,
        )
        body = {"strategy": "prebuilt", "image": made.uri, "bento": order.bento_digest}
        return Prepared(plan.digest(body), body, partial(_taken, made), findable=False)


async def _taken(made: Made) -> Made:
    return made


def _parsed(given: str) -> Reference:
    try:
        if given.startswith(_OWN):
            return parse_reference(f"own.invalid/{given.removeprefix(_OWN)}")
        return parse_reference(given)
    except ReferenceInvalidError as error:
        raise BuildFailedError("base-image-invalid", str(error)) from error


def _size(manifest: bytes) -> int:
    return sum(descriptor_of(each).size for each in document_of(manifest).get("layers", ()))
