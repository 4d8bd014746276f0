"""The deployer over HTTP: parse, call, render."""

from dataclasses import dataclass

from libs.chassis.http import Route
from services.deployer.http.bento import BentoApi
from services.deployer.http.lineage import LineageApi
from services.deployer.http.own import OwnApi
from services.deployer.http.pods import PodsApi
from services.deployer.http.secrets import SecretsApi
from services.deployer.service import Deployments, Reading, Secrets
from services.deployer.targets import Target

__all__ = ["Asked", "routes"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The use cases that people ask for."""

    deployments: Deployments
    reading: Reading
    secrets: Secrets


def routes(asked: Asked, target: Target, *, public_url: str) -> list[Route]:
    """Everything the deployer answers."""
    return [
        *BentoApi(asked.deployments, asked.reading, public_url=public_url).routes(),
        *LineageApi(asked.reading, public_url=public_url).routes(),
        *OwnApi(asked.reading, target, public_url=public_url).routes(),
        *PodsApi(asked.reading, target).routes(),
        *SecretsApi(asked.secrets).routes(),
    ]
