"""Secrets as BentoML's client keeps them: values come in, reach processes, and nothing else."""

import asyncio
from typing import Any

import pytest

from libs.chassis.sealing import SealingError, add_sealing_key, drop_older_keys
from tests.component.deployer.conftest import House
from tests.support.deployer import ORG

BASE = "/api/v1/org_secrets"
VALUE = "kept-to-ourselves"


def env(**values: str) -> dict[str, Any]:
    items = [{"key": key, "sub_path": None, "value": value} for key, value in values.items()]
    return {"type": "env", "items": items, "path": None, "stage": "runtime"}


def files(path: str | None = "$BENTOML_HOME", **values: str) -> dict[str, Any]:
    items = [{"key": key, "sub_path": None, "value": value} for key, value in values.items()]
    return {"type": "mountfile", "items": items, "path": path, "stage": "all"}


async def keep(house: House, name: str, content: dict[str, Any]) -> tuple[int, Any]:
    return await house.call("POST", BASE, {"name": name, "content": content, "description": None})


async def test_it_is_shown_without_its_values(house: House) -> None:
    status, made = await keep(house, "hub", env(TOKEN=VALUE, USER="ada"))
    assert status == 200, made
    base = {"uid", "created_at", "updated_at", "deleted_at", "name", "resource_type", "labels"}
    for resource in (made, made["creator"], made["cluster"]):
        assert base <= resource.keys()
    assert made["content"] == {
        "type": "env",
        "items": [{"key": "TOKEN", "sub_path": None}, {"key": "USER", "sub_path": None}],
        "path": None,
        "stage": "runtime",
    }
    _, one = await house.call("GET", f"{BASE}/hub?cluster=default")
    _, listed = await house.call("GET", f"{BASE}?count=10&q=&search=hu&start=0&all=true")
    assert one == made
    assert (listed["total"], listed["items"]) == (1, [made])
    assert (await house.call("GET", f"{BASE}?search=other"))[1]["items"] == []


async def test_values_are_nowhere_in_the_open(house: House) -> None:
    await keep(house, "hub", env(TOKEN=VALUE))
    await house.call("PATCH", f"{BASE}/hub", {"content": env(TOKEN=f"{VALUE}-2")})
    house.bentos.put("iris:v1")
    await house.run("iris:v1", "iris", secrets=["hub"])

    for table in ("secret", "outbox", "revision", "deployment", "replica"):
        every = f"SELECT to_jsonb(each)::text AS row FROM {table} AS each"  # noqa: S608 - our own
        content = "\n".join(row["row"] for row in await house.pool.fetch(every))
        assert content, table
        assert VALUE not in content, table
        assert VALUE.encode().hex() not in content, table
    said = [each for each in await house.said() if ".secret." in each["type"]]
    assert [each["type"].split(".")[3] for each in said] == ["created", "updated"]
    assert said[0]["data"]["keys"] == ["TOKEN"]


async def test_a_process_gets_what_its_deployment_names(house: House) -> None:
    await keep(house, "hub", env(TOKEN=VALUE, SHARED="secret"))
    await keep(house, "config", files(**{"cfg.json": "{}"}))
    await keep(house, "deep", files("$BENTOML_HOME/a/b", key="k"))
    house.bentos.put("iris:v1")
    envs = [{"name": "SHARED", "value": "plain"}]
    view = await house.deploy("iris:v1", "iris", envs=envs, secrets=["hub", "config", "deep"])
    assert view["latest_revision"]["targets"][0]["config"]["secrets"] == ["hub", "config", "deep"]
    await house.built()
    await house.settle()

    [launch] = house.processes.launched.values()
    assert dict(launch.envs) == {"TOKEN": VALUE, "SHARED": "secret"}
    assert launch.files == (("cfg.json", "{}"), ("a/b/key", "k"))
    assert VALUE not in repr(launch)


async def test_new_values_are_taken_by_processes_that_start(house: House) -> None:
    await keep(house, "hub", env(TOKEN="old"))
    house.bentos.put("iris:v1")
    await house.deploy("iris:v1", "iris", secrets=["hub"])
    await house.built()
    await house.settle()
    status, made = await house.call("PATCH", f"{BASE}/hub", {"content": env(TOKEN="new", B="2")})
    assert (status, len(made["content"]["items"])) == (200, 2)
    assert [dict(each.envs) for each in house.processes.launched.values()] == [{"TOKEN": "old"}]

    await house.call("PUT", "/api/v2/deployments/iris/void_update?cluster=")
    await house.settle()
    assert [dict(each.envs) for each in house.processes.launched.values()][-1] == {
        "TOKEN": "new",
        "B": "2",
    }


async def test_what_a_deployment_may_need_is_not_deleted(house: House) -> None:
    await keep(house, "hub", env(TOKEN=VALUE))
    house.bentos.put("iris:v1")
    await house.run("iris:v1", "iris", secrets=["hub"])

    status, problem = await house.call("DELETE", f"{BASE}/hub")
    assert (status, problem["deployments"]) == (409, ["default/iris"])
    await house.call("POST", "/api/v2/deployments/iris/terminate?cluster=")
    await house.settle()
    assert (await house.call("DELETE", f"{BASE}/hub?cluster=default"))[0] == 200
    status, problem = await house.call("PUT", "/api/v2/deployments/iris/void_update?cluster=")
    assert (status, problem["field"]) == (422, "secrets")
    assert (await house.call("GET", f"{BASE}/hub"))[0] == 404


async def test_a_deletion_and_a_deployment_at_once_agree(house: House) -> None:
    house.bentos.put("iris:v1")
    for number in range(10):
        name = f"s{number}"
        await keep(house, name, env(TOKEN=VALUE))
        body = {"bento": "iris:v1", "name": f"d{number}", "secrets": [name]}
        (deployed, _), (deleted, _) = await asyncio.gather(
            house.call("POST", "/api/v2/deployments?cluster=", body),
            house.call("DELETE", f"{BASE}/{name}"),
        )
        assert (deployed, deleted) in {(200, 409), (422, 200)}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("Hub", env(A="1"), "secret-invalid"),
        ("x" * 64, env(A="1"), "secret-invalid"),
        ("hub", env(), "secret-invalid"),
        ("hub", env(**{"1A": "1"}), "deployment-invalid"),
        ("hub", env(BENTOML_HOME="/"), "not-supported-here"),
        ("hub", env(A="a\0b"), "deployment-invalid"),
        ("hub", files(a="1") | {"stage": "build"}, "not-supported-here"),
        ("hub", files("/etc", passwd="x"), "not-supported-here"),
        ("hub", files("$BENTOML_HOMES", a="x"), "not-supported-here"),
        ("hub", files("$BENTOML_HOME/../..", a="x"), "secret-invalid"),
        ("hub", files(**{"../../a": "x"}), "secret-invalid"),
        ("hub", files(**{"/a": "x"}), "secret-invalid"),
        ("hub", env(**{f"A{n}": "1" for n in range(101)}), "secret-invalid"),
        ("hub", files(a="x" * (256 * 1024 + 1)), "secret-invalid"),
        ("hub", {"type": "vault", "items": []}, "body-invalid"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_name(
    house: House, name: str, content: dict[str, Any], code: str
) -> None:
    status, problem = await keep(house, name, content)
    assert (status, problem["type"]) == (422, f"/problems/{code}")
    assert (await house.call("GET", BASE))[1]["total"] == 0


async def test_names_are_taken_once_and_missed_by_name(house: House) -> None:
    await keep(house, "hub", env(A="1"))
    assert (await keep(house, "hub", env(A="2")))[0] == 409
    for method in ("GET", "DELETE"):
        assert (await house.call(method, f"{BASE}/nope"))[0] == 404
    assert (await house.call("PATCH", f"{BASE}/nope", {"content": env(A="1")}))[0] == 404
    house.bentos.put("iris:v1")
    body = {"bento": "iris:v1", "name": "iris", "secrets": ["nope"]}
    status, problem = await house.call("POST", "/api/v2/deployments?cluster=", body)
    assert (status, problem["field"]) == (422, "secrets")


async def test_another_organisation_has_none_of_it(house: House) -> None:
    await keep(house, "hub", env(A="1"))
    headers = {"X-Test-Org": "00000000-0000-0000-0000-000000000009"}
    async with house.session.get(f"{house.url}{BASE}", headers=headers) as answer:
        assert (await answer.json())["items"] == []
    for method in ("GET", "DELETE"):
        url = f"{house.url}{BASE}/hub"
        async with house.session.request(method, url, headers=headers) as answer:
            assert answer.status == 404
    assert (await house.call("GET", f"{BASE}/hub"))[0] == 200


async def test_keys_are_rotated(house: House) -> None:
    await keep(house, "hub", env(A="1"))
    await keep(house, "other", env(B="2"))
    key = add_sealing_key(house.keys)

    status, told = await house.call("POST", "/api/secrets/rotate")
    assert (status, told) == (200, {"secrets": 2, "key": key})
    drop_older_keys(house.keys)
    assert (await house.secrets.opened(ORG, ["hub", "other"])).envs == (("A", "1"), ("B", "2"))


async def test_what_was_moved_to_another_row_does_not_open(house: House) -> None:
    """Whoever can write the table cannot give a deployment another secret's values."""
    await keep(house, "mine", env(A="1"))
    await keep(house, "theirs", env(A="2"))
    await house.pool.execute(
        "UPDATE secret SET sealed = (SELECT sealed FROM secret WHERE name = 'theirs') "
        "WHERE name = 'mine'"
    )
    with pytest.raises(SealingError):
        await house.secrets.opened(ORG, ["mine"])
