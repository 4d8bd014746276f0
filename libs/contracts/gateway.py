"""Events the gateway publishes."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from libs.contracts.event import Event
from libs.contracts.types import DeploymentName


class TenantCreated(Event):
    """An organisation exists, with its cluster and default namespace."""

    name: ClassVar[str] = "tenant.created"

    org_id: UUID
    org: str = Field(description="its name")
    cluster: str = Field(description="the first cluster's name")
    namespace: DeploymentName = Field(description="its default namespace")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.org_id


class UserCreated(Event):
    """A person may use the platform."""

    name: ClassVar[str] = "user.created"

    user_id: UUID
    login: str = Field(description="the name that the person goes by")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.user_id


class TokenCreated(Event):
    """An API token exists. Neither the token nor its hash is ever said."""

    name: ClassVar[str] = "token.created"

    token_id: UUID
    user_id: UUID
    label: str = Field(max_length=128, description="what the token is for, in its maker's words")

    @property
    @override
    def entity_id(self) -> UUID:
        return self.token_id


class RouteApplied(Event):
    """Every live data plane serves this generation of a deployment's route. Said once."""

    name: ClassVar[str] = "route.applied"

    deployment_id: UUID
    generation: int = Field(
        ge=1, description="the routing that is served, as `deployment.routed` says"
    )

    @property
    @override
    def entity_id(self) -> UUID:
        return self.deployment_id
