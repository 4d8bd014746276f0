"""The bus server's configuration as text: one account, one user per service, JetStream on disk.

Pure; who may do what is decided in ``libs.contracts.bus``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from libs.contracts.bus import PUBLISHED, publish_permissions, subscribe_permissions
from libs.contracts.event import MAX_BYTES

ADMIN: Final = "admin"
"""The user that may do everything in the account: for operators and tests, for no service."""

_MAX_PAYLOAD: Final = 2 * MAX_BYTES


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where one server listens and stores. Loopback unless ``host`` says otherwise."""

    port: int
    monitor_port: int
    store_dir: Path
    host: str = "127.0.0.1"
    max_file_bytes: int = 10 * 2**30
    max_memory_bytes: int = 64 * 2**20


def render(place: ServerPlace, passwords: Mapping[str, str]) -> str:
    """A whole ``nats.conf``.

    ``passwords`` names every service of the contracts and ``admin``; a missing one is a
    ``KeyError``, so that no user can ever exist without a password. ``sync_interval: always``
    makes an acknowledgement mean "on disk"; acknowledgement subjects stay in the form that
    the client library understands.
    """
    users = [_user(ADMIN, passwords[ADMIN], publish=None, subscribe=None)]
    users += [
        _user(
            service,
            passwords[service],
            publish=publish_permissions(service),
            subscribe=subscribe_permissions(service),
        )
        for service in PUBLISHED
    ]
    return f"""\
server_name: yokocho
host: {json.dumps(place.host)}
port: {place.port}
http: {json.dumps(f"{place.host}:{place.monitor_port}")}
max_payload: {_MAX_PAYLOAD}
write_deadline: "10s"
jetstream {{
  store_dir: {json.dumps(str(place.store_dir))}
  sync_interval: always
  max_memory_store: {place.max_memory_bytes}
  max_file_store: {place.max_file_bytes}
}}
feature_flags {{ js_ack_fc_v2: false }}
accounts {{
  YOKOCHO {{
    jetstream: enabled
    users: [
{chr(10).join(users)}
    ]
  }}
}}
"""


def _user(
    name: str,
    password: str,
    *,
    publish: tuple[str, ...] | None,
    subscribe: tuple[str, ...] | None,
) -> str:
    login = f"user: {json.dumps(name)}, password: {json.dumps(password)}"
    if publish is None or subscribe is None:
        return f"      {{ {login} }}"
    return (
        f"      {{ {login}, permissions: {{\n"
        f"        publish: {{ allow: {json.dumps(list(publish))} }}\n"
        f"        subscribe: {{ allow: {json.dumps(list(subscribe))} }} }} }}"
    )
