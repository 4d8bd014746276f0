"""Use cases: what people ask for, what the bus reports, what the controller finds out."""

from services.deployer.service.deployments import BentoSource, Deployments
from services.deployer.service.facts import Kind
from services.deployer.service.holds import Holds, Keeper, Shelf
from services.deployer.service.order import Order
from services.deployer.service.reading import Page, Reading, Shown
from services.deployer.service.rollouts import Rollouts, Situation
from services.deployer.service.secrets import Content, Secrets
from services.deployer.service.trust import Judge, Trust
from services.deployer.service.tx import SERVICE, Tx, because

__all__ = [
    "SERVICE",
    "BentoSource",
    "Content",
    "Deployments",
    "Holds",
    "Judge",
    "Keeper",
    "Kind",
    "Order",
    "Page",
    "Reading",
    "Rollouts",
    "Secrets",
    "Shelf",
    "Shown",
    "Situation",
    "Trust",
    "Tx",
    "because",
]
