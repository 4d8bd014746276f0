"""Values that people keep with us: sealed before they are stored, opened where a process starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeVar, cast
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from libs.chassis.postgres import Database
from libs.chassis.sealing import Sealer
from libs.contracts.deployer import (
    SecretCreated,
    SecretDeleted,
    SecretsOpened,
    SecretsWanted,
    SecretUpdated,
)
from libs.contracts.identity import Principal
from services.deployer.domain.secret import Item, Kind, Opened, Secret, Stage, check, opened
from services.deployer.errors import (
    SecretAbsentError,
    SecretExistsError,
    SecretInUseError,
    SecretInvalidError,
    SecretNotFoundError,
)
from services.deployer.service.making import person_of
from services.deployer.service.tx import Tx

_MOST_FOR_BUILD: Final = 2**20

log = structlog.get_logger(__name__)

_Said = TypeVar("_Said", SecretCreated, SecretUpdated, SecretDeleted)


@dataclass(frozen=True, slots=True)
class Content:
    """What somebody sends: here alone values are beside their keys, in the open."""

    kind: Kind
    stage: Stage
    path: str | None
    items: Sequence[tuple[Item, str]]

    @property
    def values(self) -> dict[str, str]:
        return {item.key: value for item, value in self.items}


class Secrets:
    def __init__(
        self,
        database: Database[Tx],
        sealer: Sealer,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def create(
        self, name: str, content: Content, *, description: str, principal: Principal
    ) -> Secret:
        check(name, content.kind, content.stage, path=content.path, items=content.items)
        now = self._clock()
        made = Secret(
            id=uuid7(),
            org_id=principal.org_id,
            org=principal.org,
            name=name,
            description=description,
            kind=content.kind,
            stage=content.stage,
            path=content.path,
            items=tuple(item for item, _ in content.items),
            creator=person_of(principal),
            created_at=now,
            updated_at=now,
        )
        sealed = self._sealer.seal({**content.values}, about=str(made.id))
        async with self._database.transaction() as tx:
            if not await tx.secrets.add(made, sealed):
                raise SecretExistsError(name)
            await tx.outbox.append(_said(SecretCreated, made), entity_seq=1, org_id=made.org_id)
        return made

    async def replace(
        self, name: str, content: Content, *, description: str | None, principal: Principal
    ) -> Secret:
        """All of its items. Processes that run have the old ones until they are started anew."""
        check(name, content.kind, content.stage, path=content.path, items=content.items)
        async with self._database.transaction() as tx:
            before = await _locked(tx, principal.org_id, name)
            made = replace(
                before,
                description=before.description if description is None else description,
                kind=content.kind,
                stage=content.stage,
                path=content.path,
                items=tuple(item for item, _ in content.items),
                updated_at=self._clock(),
            )
            sealed = self._sealer.seal({**content.values}, about=str(made.id))
            seq = await tx.secrets.replace(made, sealed)
            await tx.outbox.append(_said(SecretUpdated, made), entity_seq=seq, org_id=made.org_id)
        return made

    async def delete(self, name: str, *, principal: Principal) -> Secret:
        """Refused while a revision that is not retired was asked to have it."""
        async with self._database.transaction() as tx:
            found = await _locked(tx, principal.org_id, name)
            if users := await tx.secrets.users(principal.org_id, name):
                raise SecretInUseError(name, users)
            await tx.secrets.remove(found.id)
            event = _said(SecretDeleted, found)
            await tx.outbox.append(event, entity_seq=found.seq + 1, org_id=found.org_id)
        return found

    async def all(self, org_id: UUID, *, search: str = "") -> list[Secret]:
        """By name."""
        async with self._database.read() as tx:
            return await tx.secrets.all(org_id, search=search)

    async def one(self, org_id: UUID, name: str) -> Secret:
        async with self._database.read() as tx:
            found = await tx.secrets.named(org_id, [name])
        if not found:
            raise SecretNotFoundError(name)
        return found[0][0]

    async def opened(self, org_id: UUID, names: Sequence[str]) -> Opened:
        """For a process that is about to start. Raises ``SealingError`` without the right key."""
        if not names:
            return Opened()
        async with self._database.read() as tx:
            found = await tx.secrets.named(org_id, names)
        there = {secret.name for secret, _ in found}
        for name in names:
            if name not in there:
                raise SecretNotFoundError(name)
        return opened([(secret, self._values(secret, sealed)) for secret, sealed in found])

    async def for_build(self, org_id: UUID, wanted: SecretsWanted) -> SecretsOpened:
        """Only those that are meant for builds. Later ones win over earlier ones."""
        async with self._database.read() as tx:
            found = await tx.secrets.named(org_id, wanted.names)
        _require_for_build(wanted.names, [secret for secret, _ in found])
        log.info("secrets.opened", secrets=wanted.names, beginnings=wanted.beginnings)
        variables = {
            name: value
            for secret, sealed in found
            for name, value in self._values(secret, sealed).items()
            if name.startswith(wanted.beginnings or "")
        }
        if sum(map(len, variables.values())) > _MOST_FOR_BUILD:
            raise SecretInvalidError("names", f"more than {_MOST_FOR_BUILD} bytes together")
        return SecretsOpened(variables=variables)

    async def rotate(self) -> int:
        """Seal everything with the first key, every organisation's; how many there are."""
        async with self._database.transaction() as tx:
            every = await tx.secrets.lock_sealed()
            for secret_id, sealed in every:
                await tx.secrets.reseal(secret_id, self._sealer.renew(sealed))
        return len(every)

    @property
    def key_id(self) -> str:
        return self._sealer.key_id

    def _values(self, secret: Secret, sealed: bytes) -> Mapping[str, str]:
        return cast("Mapping[str, str]", self._sealer.open(sealed, about=str(secret.id)))


def _said(event: type[_Said], secret: Secret) -> _Said:
    return event(
        secret_id=secret.id,
        secret=secret.name,
        kind=secret.kind.value,
        stage=secret.stage.value,
        keys=tuple(item.key for item in secret.items),
    )


def _require_for_build(names: Sequence[str], found: Sequence[Secret]) -> None:
    there = {each.name: each for each in found}
    absent = [name for name in names if name not in there]
    if absent:
        raise SecretAbsentError(f"there is no secret '{absent[0]}'", absent)
    others = [each for each in found if not each.builds]
    for each in others:
        why = f"secret '{each.name}' is {each.kind.value} of stage {each.stage.value}"
        names = [other.name for other in others]
        raise SecretAbsentError(f"{why}: builds take env of stage build or all", names)


async def _locked(tx: Tx, org_id: UUID, name: str) -> Secret:
    found = await tx.secrets.lock(org_id, name)
    if found is None:
        raise SecretNotFoundError(name)
    return found
