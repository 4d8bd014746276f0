"""The bus server's configuration as text."""

from pathlib import Path

import pytest

from libs.chassis.natsconf import ADMIN, ServerPlace, render
from libs.contracts.bus import PUBLISHED

PLACE = ServerPlace(port=4333, monitor_port=8333, store_dir=Path('/data/with "quotes"/nats'))
PASSWORDS = {name: f"{name}-word" for name in (ADMIN, *PUBLISHED)}


def test_it_listens_on_loopback_and_writes_what_it_acknowledges() -> None:
    text = render(PLACE, PASSWORDS)

    assert 'host: "127.0.0.1"' in text
    assert 'http: "127.0.0.1:8333"' in text
    assert "sync_interval: always" in text
    assert "js_ack_fc_v2: false" in text


def test_text_of_others_cannot_leave_its_quotes() -> None:
    text = render(PLACE, PASSWORDS | {"builder": 'a" } ] } evil: "'})

    assert 'store_dir: "/data/with \\"quotes\\"/nats"' in text
    assert 'password: "a\\" } ] } evil: \\""' in text


@pytest.mark.parametrize("name", PASSWORDS)
def test_nobody_is_without_a_password(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        render(PLACE, {each: word for each, word in PASSWORDS.items() if each != name})


@pytest.mark.parametrize("service", PUBLISHED)
def test_only_the_admin_is_without_permissions(service: str) -> None:
    lines = render(PLACE, PASSWORDS).splitlines()

    [line] = [each for each in lines if f'user: "{service}"' in each]
    assert line.endswith("permissions: {")
    [admin] = [each for each in lines if f'user: "{ADMIN}"' in each]
    assert "permissions" not in admin
