"""The deployer's tables. All of its SQL is here; none of its decisions are."""

from services.deployer.store.deployments import DeploymentStore, organisations
from services.deployer.store.keys import load_key
from services.deployer.store.replicas import ReplicaStore
from services.deployer.store.revisions import Draft, RevisionStore
from services.deployer.store.secrets import SecretStore

__all__ = [
    "DeploymentStore",
    "Draft",
    "ReplicaStore",
    "RevisionStore",
    "SecretStore",
    "load_key",
    "organisations",
]
