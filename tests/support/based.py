"""A yard whose registry has a base image, pinned."""

from typing import Final

from libs.chassis.client import OrgRef
from services.builder.oci import Remote
from tests.support.builder import ORG, Yard
from tests.support.little_image import little_image

REFERENCE: Final = "python:3.11-slim"
WHO: Final = OrgRef(ORG, "default")


async def on_base(yard: Yard) -> Remote:
    """The registry, as the builder sees it. The base image is little, for two platforms."""
    await yard.shop.bases.bring(WHO, REFERENCE, little_image(yard.folder / "base"))
    return yard.home(WHO)
