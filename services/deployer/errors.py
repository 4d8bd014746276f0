"""What the deployer can refuse."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import JsonValue

from libs.chassis.errors import Kind, ServiceError


class DeploymentNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "deployment-not-found"
    title: ClassVar[str] = "There is no such deployment"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no deployment {name}", deployment=name)


class DeploymentExistsError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "deployment-exists"
    title: ClassVar[str] = "The name of the deployment is taken"

    def __init__(self, name: str, *, ending: bool) -> None:
        more = "; it is being deleted and its name is free when it has ended" if ending else ""
        super().__init__(f"deployment {name} already exists{more}", deployment=name)


class DeploymentEndingError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "deployment-ending"
    title: ClassVar[str] = "The deployment is being deleted"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"deployment {name} is being deleted and cannot be changed", deployment=name
        )


class DeploymentInvalidError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "deployment-invalid"
    title: ClassVar[str] = "The deployment cannot be made as it is described"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}", field=field)


class NotSupportedError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "not-supported-here"
    title: ClassVar[str] = "The deployment asks for something that is not done here"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} is not supported here: {why}", field=field)


class BentoNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "deployment-bento-not-found"
    title: ClassVar[str] = "There is no such bento to deploy"

    def __init__(self, tag: str, why: str) -> None:
        super().__init__(f"bento {tag} cannot be deployed: {why}", bento=tag)


class BentoNotReadyError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "deployment-bento-not-ready"
    title: ClassVar[str] = "The bento is not complete"

    def __init__(self, tag: str, why: str) -> None:
        super().__init__(f"bento {tag} cannot be deployed yet: {why}", bento=tag)


class ClusterUnknownError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "cluster-unknown"
    title: ClassVar[str] = "There is no such cluster"

    def __init__(self, cluster: str, known: str) -> None:
        super().__init__(f"there is no cluster {cluster}; the only one is {known}", cluster=cluster)


class NamespaceTakenError(ServiceError):
    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "namespace-taken"
    title: ClassVar[str] = "The namespace belongs to another organisation"

    def __init__(self, namespace: str) -> None:
        super().__init__(
            f"namespace {namespace} belongs to another organisation", namespace=namespace
        )


class NotIsolatedError(ServiceError):
    kind: ClassVar[Kind] = Kind.FORBIDDEN
    code: ClassVar[str] = "organisation-not-isolated"
    title: ClassVar[str] = "This target serves one organisation only"

    def __init__(self) -> None:
        super().__init__(
            "processes are not isolated from each other on this machine, so a second "
            "organisation may not deploy here"
        )


class FilterInvalidError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "deployment-filter-invalid"
    title: ClassVar[str] = "The filter of a deployment list cannot be honoured"

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"query parameter '{parameter}': {why}", parameter=parameter)


class NoPortError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "no-free-port"
    title: ClassVar[str] = "No port is free for another process"

    def __init__(self, first: int, last: int) -> None:
        super().__init__(f"every port from {first} to {last} is taken", first=first, last=last)


class ImageUnsignedError(ServiceError):
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    code: ClassVar[str] = "image-unsigned-yet"
    title: ClassVar[str] = "The image waits for its signature"

    def __init__(self, digest: str) -> None:
        super().__init__(f"image {digest} is not signed yet", image_digest=digest)


class SecretNotFoundError(ServiceError):
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    code: ClassVar[str] = "secret-not-found"
    title: ClassVar[str] = "There is no such secret"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no secret '{name[:80]}'", secret=name[:80])


class SecretAbsentError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "secret-absent"
    title: ClassVar[str] = "A build is to be given a secret that is not there for it"

    def __init__(self, why: str, names: Sequence[str]) -> None:
        super().__init__(why, secrets=[*names])


class SecretExistsError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "secret-exists"
    title: ClassVar[str] = "The name of the secret is taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"secret '{name}' exists already: apply replaces it", secret=name)


class SecretInvalidError(ServiceError):
    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "secret-invalid"
    title: ClassVar[str] = "The secret cannot be kept as it is described"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}", field=field)


class SecretInUseError(ServiceError):
    kind: ClassVar[Kind] = Kind.CONFLICT
    code: ClassVar[str] = "secret-in-use"
    title: ClassVar[str] = "Deployments use the secret"

    def __init__(self, name: str, deployments: list[str]) -> None:
        listed: list[JsonValue] = [*deployments]
        shown = ", ".join(deployments[:5])
        super().__init__(
            f"secret '{name}' is used by {shown}: deploy those without it, or terminate them",
            deployments=listed,
        )
