"""The deployer over HTTP: parse, call, render."""

from services.deployer.http.bento import BentoApi
from services.deployer.http.own import OwnApi

__all__ = ["BentoApi", "OwnApi"]
