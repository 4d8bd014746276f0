"""Requests become builds once; a build ends once; images are held and pruned."""

from pathlib import Path
from uuid import UUID

import pytest

from libs.chassis.context import Cause, bound
from libs.chassis.postgres import Database, Pool
from libs.contracts.deployer import DeploymentRequested, PinnedModel
from libs.contracts.event import Envelope
from services.builder.consumers import RequestsConsumer
from services.builder.domain import Image, Model, Order
from services.builder.environments import Folders
from services.builder.errors import ImageGoneError
from services.builder.service import Builds, Images, Tx
from tests.support.build_requests import requested
from tests.support.builder import ORG

CAUSE = Cause(actor="service:builder", org_id=ORG, correlation_id="c1")
MODEL = PinnedModel(repository="m", version="1", digest="sha256:" + "1" * 64)
ENVIRONMENT, IMAGE, OTHER, ITS_IMAGE = ("sha256:" + each * 64 for each in "abcd")


def asked() -> Envelope[DeploymentRequested]:
    return requested("sha256:" + "0" * 64, MODEL)


async def test_a_request_is_built_once_and_its_image_stays_while_held(
    pool: Pool, tmp_path: Path
) -> None:
    database, woken = Database(pool, Tx.bind), list[None]()
    builds = Builds(database, woken=lambda: woken.append(None))
    consumer = RequestsConsumer(builds, consumer="builder-requests-v1")
    envelope = asked()
    with bound(CAUSE):
        for _ in range(2):
            await consumer(envelope, b"")
        assert len(woken) == 1
        order = await builds.start()
        assert order is not None
        again = await builds.start()  # its worker died
        assert again is not None
        assert (again.id, again.attempts) == (order.id, 2)
        assert await builds.start(besides={order.id}) is None
        assert order.models == (Model("m", "1", "sha256:" + "1" * 64),)
        await builds.claim(order, environment=ENVIRONMENT, image=IMAGE)
        for _ in range(2):
            await builds.built(order, Image(IMAGE, "file:///x", reused=False), 1.5)
    assert await builds.start() is None
    said = await pool.fetch("SELECT type, entity_seq FROM outbox ORDER BY id")
    assert [tuple(each) for each in said] == [
        ("dev.yokocho.image.requested.v1", 1),
        ("dev.yokocho.image.built.v1", 2),
    ]
    assert (await builds.one(ORG, order.id)).status == "built"

    with bound(CAUSE):
        await consumer(asked(), b"")
        second = await builds.start()
        assert second is not None
        await builds.claim(second, environment=OTHER, image=ITS_IMAGE)
        await builds.built(second, Image(ITS_IMAGE, "file:///y", reused=False), 1.5)

    await keep_and_prune(pool, Folders(tmp_path), order)


async def keep_and_prune(pool: Pool, folders: Folders, order: Order) -> None:
    images = Images(Database(pool, Tx.bind), folders)
    for each in (ENVIRONMENT, OTHER):
        folders.environment(each).mkdir()
        folders.complete(each)
    bento = folders.work(order.id)
    folders.assemble(IMAGE, ENVIRONMENT, bento, models={})
    assert order.revision_id is not None
    await images.hold(ORG, order.revision_id, IMAGE)
    with pytest.raises(ImageGoneError):
        await images.hold(UUID(int=2), order.revision_id, IMAGE)
    await pool.execute("UPDATE build SET ended_at = now() - interval '2 hours'")
    assert (await images.prune(UUID(int=2))).removed == (), "it has built nothing"
    assert (await images.prune(ORG)).removed == (f"environments/{'c' * 64}",)
    await images.release(ORG, order.revision_id)
    assert len((await images.prune(ORG)).removed) == 2
    with pytest.raises(ImageGoneError):
        await images.hold(ORG, order.revision_id, IMAGE)
