"""How each process of the platform is started, watched and stopped."""

import asyncio
import signal
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from cli.embedded import nats, postgres
from cli.home import SERVICES
from cli.ports import LOOPBACK, reachable
from cli.supervisor.forks import ForkError, Forks
from cli.supervisor.layout import Layout, server_environment
from cli.supervisor.probes import answers
from cli.supervisor.units import Recipe
from cli.zygote import Order
from libs.chassis.process import Process, register, spawn

_SOCKETS: Final = {"gateway": ("YOKOCHO_GATEWAY_API_FD", "YOKOCHO_GATEWAY_ENDPOINTS_FD")}
_POSTGRES_GRACE: Final = timedelta(seconds=20)
_LEFTOVER_GRACE: Final = timedelta(seconds=3)


def postgres_recipe(layout: Layout, binaries: postgres.Binaries) -> Recipe:
    home, port = layout.home, layout.identity.ports["postgres"]
    log = home.log("postgres")

    async def start() -> Process:
        await postgres.end_leftovers(home.postgres, grace=_LEFTOVER_GRACE)
        command = postgres.command(
            binaries, home.postgres, port=port, environment=server_environment()
        )
        return spawn(home.records, "postgres", command, log=log, marker=layout.marker)

    async def ready() -> bool:
        return await postgres.accepts(port)

    return Recipe(
        "postgres",
        start,
        ready,
        log,
        stop_signal=signal.SIGINT,  # a fast shutdown: does not wait for clients to leave
        stop_grace=_POSTGRES_GRACE,
        port=port,
    )


def nats_recipe(layout: Layout) -> Recipe:
    home, ports = layout.home, layout.identity.ports
    log, configuration = home.log("nats"), home.run / "nats.conf"

    async def start() -> Process:
        nats.write_configuration(
            configuration,
            store=home.nats,
            port=ports["nats"],
            monitor_port=ports["nats_monitor"],
            passwords=layout.secrets["nats"],
        )
        command = nats.command(configuration, environment=server_environment())
        return spawn(home.records, "nats", command, log=log, marker=layout.marker)

    return Recipe(
        "nats", start, answers(ports["nats_monitor"], "/healthz"), log, port=ports["nats"]
    )


def zygote_recipe(layout: Layout, forks: Forks) -> Recipe:
    async def start() -> Process:
        return forks.start()

    async def ready() -> bool:
        return forks.is_ready()

    return Recipe("zygote", start, ready, layout.home.log("zygote"))


def service_recipes(
    layout: Layout, forks: Forks, sockets: Mapping[str, tuple[socket.socket, ...]]
) -> list[Recipe]:
    return [
        _service_recipe(layout, forks, name, sockets=sockets.get(name, ())) for name in SERVICES
    ]


def order(layout: Layout, service: str, *argv: str, log: str = "") -> Order:
    """Have the zygote run one of the services' own command lines."""
    return Order(
        name=service,
        module=f"services.{service}.__main__",
        argv=argv,
        env=layout.service_environment(service),
        log=str(layout.home.log(log or service)),
        descriptors=_SOCKETS.get(service, ()) if argv == ("serve",) else (),
    )


def _service_recipe(
    layout: Layout, forks: Forks, name: str, *, sockets: tuple[socket.socket, ...]
) -> Recipe:
    port = layout.identity.ports.get(name, layout.port)
    host = reachable(layout.identity.host) if name == "gateway" else LOOPBACK
    serving = order(layout, name, "serve")

    async def start() -> Process:
        pid = await forks.fork(serving, [each.fileno() for each in sockets])
        argv = (serving.module, *serving.argv)
        process = register(layout.home.records, name, pid, marker=layout.marker, argv=argv)
        if process is None:
            status = await _status_of(forks, pid)
            raise ForkError(f"ended at once with status {status}")
        return process

    return Recipe(
        name,
        start,
        answers(port, "/readyz", host=host),
        layout.home.log(name),
        alive=answers(port, "/livez", host=host),
        ending=forks.ending,
        port=port,
    )


async def _status_of(forks: Forks, pid: int) -> int | None:
    async with asyncio.timeout(2):
        return await forks.ending(pid)
