"""The deployer over HTTP: parse, call, render."""

from libs.chassis.http import Route
from services.deployer.http.bento import BentoApi
from services.deployer.http.lineage import LineageApi
from services.deployer.http.own import OwnApi
from services.deployer.service import Deployments, Reading
from services.deployer.targets import Target

__all__ = ["routes"]


def routes(
    deployments: Deployments, reading: Reading, target: Target, *, public_url: str
) -> list[Route]:
    """Everything the deployer answers."""
    return [
        *BentoApi(deployments, reading, public_url=public_url).routes(),
        *LineageApi(reading, public_url=public_url).routes(),
        *OwnApi(reading, target, public_url=public_url).routes(),
    ]
