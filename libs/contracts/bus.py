"""The bus as data: who publishes which stream, and every durable consumer.

Streams, consumers and the permissions of each service's NATS user are generated from here.
"""

from dataclasses import dataclass
from typing import Final

from libs.contracts import builder, deployer, gateway, registry
from libs.contracts.event import Event

PUBLISHED: Final[dict[str, tuple[type[Event], ...]]] = {
    "registry": (
        registry.ModelPushed,
        registry.BentoPushed,
        registry.ModelDamaged,
        registry.BentoDamaged,
        registry.ModelDeleted,
        registry.BentoDeleted,
        registry.ModelRestored,
        registry.BentoRestored,
        registry.ModelPurged,
        registry.BentoPurged,
        registry.AliasMoved,
        registry.AliasRemoved,
    ),
    "builder": (builder.ImageRequested, builder.ImageBuilt, builder.ImageFailed),
    "deployer": (
        deployer.DeploymentRequested,
        deployer.DeploymentUpdated,
        deployer.DeploymentReady,
        deployer.DeploymentFailed,
        deployer.DeploymentRouted,
        deployer.DeploymentTerminated,
        deployer.DeploymentDeleted,
        deployer.SecretCreated,
        deployer.SecretUpdated,
        deployer.SecretDeleted,
    ),
    "gateway": (
        gateway.TenantCreated,
        gateway.UserCreated,
        gateway.TokenCreated,
        gateway.RouteApplied,
    ),
    "events": (),
}
"""A new event is listed here or it does not exist."""


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """One durable pull consumer: ``<service>-<purpose>-v<version>`` on one stream.

    No ``events`` means all of that stream's.
    """

    service: str
    purpose: str
    source: str
    events: tuple[type[Event], ...] = ()
    version: int = 1

    @property
    def durable(self) -> str:
        return f"{self.service}-{self.purpose}-v{self.version}"

    @property
    def stream(self) -> str:
        return stream_of(self.source)

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(f"{event.subject_prefix()}.>" for event in self.events) or (
            stream_subjects(self.source)
        )


CONSUMERS: Final = (
    ConsumerSpec(
        "registry",
        "images",
        "builder",
        (builder.ImageRequested, builder.ImageBuilt, builder.ImageFailed),
    ),
    ConsumerSpec("builder", "requests", "deployer", (deployer.DeploymentRequested,)),
    ConsumerSpec("builder", "bentos", "registry", (registry.BentoPushed, registry.BentoPurged)),
    ConsumerSpec("deployer", "images", "builder", (builder.ImageBuilt, builder.ImageFailed)),
    ConsumerSpec("deployer", "routes", "gateway", (gateway.RouteApplied,)),
    ConsumerSpec(
        "gateway",
        "routes",
        "deployer",
        (
            deployer.DeploymentRequested,
            deployer.DeploymentFailed,
            deployer.DeploymentRouted,
            deployer.DeploymentTerminated,
            deployer.DeploymentDeleted,
        ),
    ),
    *(ConsumerSpec("events", "log", service) for service, said in PUBLISHED.items() if said),
)


def stream_of(service: str) -> str:
    """The one stream that ``service`` publishes."""
    return service.upper()


def stream_subjects(service: str) -> tuple[str, ...]:
    """``evt.<noun>.>`` for each noun the service owns."""
    nouns = sorted({event.name.partition(".")[0] for event in PUBLISHED[service]})
    return tuple(f"evt.{noun}.>" for noun in nouns)


def consumers_of(service: str) -> tuple[ConsumerSpec, ...]:
    return tuple(spec for spec in CONSUMERS if spec.service == service)


def log_of(service: str) -> ConsumerSpec:
    """The consumer that keeps everything that ``service`` says."""
    return next(spec for spec in CONSUMERS if (spec.source, spec.purpose) == (service, "log"))


def publish_permissions(service: str) -> tuple[str, ...]:
    """Subjects that the service's NATS user may publish: its facts, its pulls, its acks."""
    allowed = (
        [*stream_subjects(service), "$JS.API.INFO"] if PUBLISHED[service] else ["$JS.API.INFO"]
    )
    if PUBLISHED[service]:
        own = stream_of(service)
        allowed += [
            f"$JS.API.STREAM.{verb}.{own}" for verb in ("CREATE", "UPDATE", "INFO", "MSG.GET")
        ]
        allowed.append(f"$JS.API.CONSUMER.INFO.{own}.{log_of(service).durable}")
    for spec in consumers_of(service):
        at = f"{spec.stream}.{spec.durable}"
        allowed += [
            f"$JS.API.CONSUMER.CREATE.{at}",
            f"$JS.API.CONSUMER.CREATE.{at}.>",
            f"$JS.API.CONSUMER.INFO.{at}",
            f"$JS.API.CONSUMER.MSG.NEXT.{at}",
            f"$JS.ACK.{at}.>",
            f"$JS.API.STREAM.INFO.{spec.stream}",
        ]
    return tuple(dict.fromkeys(allowed))


def subscribe_permissions(service: str) -> tuple[str, ...]:
    """Only the service's own inbox: replies can be read by nobody else."""
    return (f"{inbox_prefix(service)}.>",)


def inbox_prefix(service: str) -> str:
    return f"_INBOX_{service}"
