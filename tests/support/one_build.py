"""A builder for one build, as a program: any interpreter with the runtime's packages runs it.

Its argument is JSON: what there is, and what is to be built. It prints what came of it.
"""

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from libs.chassis.auth import Signer
from libs.chassis.client import OrgRef, Peer
from libs.chassis.context import Cause, bound
from libs.chassis.isolation import Isolation
from libs.chassis.lifecycle import Wake
from libs.chassis.postgres import Database, create_pool
from libs.contracts.identity import Person, Principal
from services.builder.controller import Lanes, Worker
from services.builder.domain import Wish
from services.builder.environments import Children, Confinement, Folders, Uv
from services.builder.oci import Known, Registries
from services.builder.service import Giving, Live, Tx
from services.builder.upstream import Deployer, Registry
from services.builder.wiring import Peers, Tools, own_registry, workshop

ORG = UUID(int=1)
_ADA = Person(id=UUID(int=7), name="ada", email="a@x", first_name="Ada", last_name="L")


async def build(told: dict[str, Any]) -> dict[str, Any]:
    async with (
        create_pool(told["dsn"], max_size=4, application_name="one-build") as pool,
        aiohttp.ClientSession() as session,
    ):
        signer = Signer("builder", Path(told["keys"]) / "builder.pem")
        url, wake = told["registry"], Wake()
        peer = Peer(session, service="builder", peer="registry", base_url=url, signer=signer)
        folders = Folders(Path(told["root"]))
        children = Children(f"{told['root']}:build")
        tools = Tools(
            uv=Uv(children, Confinement(children, folders.caches, Isolation())),
            children=children,
            home=partial(own_registry, session, url=url, signer=signer),
            registries=Registries(session, Known()),
        )
        registry = Registry(peer)
        live = Live()
        database = Database(pool, Tx.bind, committed=live.announce)
        peers = Peers(registry, Giving(Deployer(peer), b"k" * 32))  # nobody asks for secrets
        shop = workshop(database, folders, peers=peers, tools=tools, wake=wake, live=live)
        base, org = told["base"], OrgRef(ORG, "default")
        await shop.bases.bring(org, base["reference"], Path(base["layout"]))
        who = Principal(actor="user:1", issuer="gateway", org_id=ORG, org="default", person=_ADA)
        repository, _, version = told["bento"].partition(":")
        bento = await registry.resolve(repository, version, OrgRef.of(who))
        with bound(Cause(who.actor, ORG, "c1")):
            order = await shop.builds.order(who, bento, Wish(no_cache=True))
        await Worker(
            shop.builds,
            shop.making,
            housekeeping=shop.housekeeping,
            attesting=shop.attesting,
            lanes=Lanes(),
            wake=wake,
        ).turn()
        ended = await shop.builds.one(ORG, order.id)
        said = folders.log(order.id).read_text()
        digest = ended.image_digest
        return {"status": ended.status, "digest": digest, "reason": ended.reason, "log": said}


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    os.umask(given["umask"])
    print(json.dumps(asyncio.run(build(given))))
