"""login, deployments, events, logs: what the platform says through its API."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.options import FollowOption, HomeOption, JsonOption, home_at, show, table

_LINES: Final = 200


def login(
    *,
    home: HomeOption = None,
    context: Annotated[
        str, typer.Option(envvar="BENTOML_CLOUD_CONTEXT", help="Name of the client's context")
    ] = "default",
    as_json: JsonOption = False,
) -> None:
    """Let the BentoML client on this machine use this platform. Honours BENTOML_HOME."""
    from cli.client import Api
    from cli.context import write

    api = Api.of(home_at(home))
    user = api.get("/api/v1/auth/current")
    folder = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").expanduser()
    written = write(folder, name=context, endpoint=api.url, token=api.token, email=user["email"])
    told = {"context": context, "endpoint": api.url, "file": str(written)}
    show(told, as_json=as_json, human=lambda: f"context '{context}' in {written} is {api.url}")


def deployments(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Every deployment: status, why it failed, where it answers."""
    from cli.client import Api

    told = Api.of(home_at(home)).get("/api/deployments")
    show(told, as_json=as_json, human=lambda: _overview(_items(told)))


def events(
    *,
    home: HomeOption = None,
    follow: FollowOption = False,
    kind: Annotated[
        str | None, typer.Option("--type", help="Short names by comma: bento.pushed,image.built")
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest last")] = 50,
    as_json: JsonOption = False,
) -> None:
    """What happened, from the log; --follow goes on with what happens."""
    from cli.client import Api

    api = Api.of(home_at(home))
    page = api.get("/api/events", {"last": str(last), "type": kind})
    found = [entry["event"] for entry in page["events"]]
    if not follow:
        show(found, as_json=as_json, human=lambda: "\n".join(map(_line, found)))
        return
    for event in found:
        print(json.dumps(event) if as_json else _line(event), flush=True)
    params = {"type": kind, "after": str(page["next"])}
    stream = api.lines("/api/events/stream", params, headers={"Accept": "text/event-stream"})
    for line in stream:
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            print(json.dumps(event) if as_json else _line(event), flush=True)


def logs(
    name: Annotated[str, typer.Argument(help="A service, postgres, nats, or a deployment")],
    *,
    home: HomeOption = None,
    follow: FollowOption = False,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines")] = _LINES,
    as_json: JsonOption = False,
) -> None:
    """The last lines of a service's or a deployment's log."""
    from cli.home import SERVICES
    from libs.chassis.process import tail

    at = home_at(home)
    if name in {*SERVICES, "postgres", "nats", "supervisor", "zygote"} and not follow:
        text = tail(at.log(name), lines)
        show({"name": name, "log": text}, as_json=as_json, human=lambda: text)
        return
    for line in _following(at, name, lines=lines, follow=follow):
        print(json.dumps({"name": name, "line": line}) if as_json else line, flush=True)


def _items(told: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told["deployments"] if isinstance(told, dict) else told
    return found


def _overview(found: list[dict[str, Any]]) -> str:
    rows = [("DEPLOYMENT", "STATUS", "REVISION", "URL")]
    for each in found:
        url = ", ".join(each.get("urls") or [])
        name = f"{each['namespace']}/{each['name']}"
        rows.append((name, each["status"], str(each.get("revision") or ""), url))
    reasons = [
        f"{each['namespace']}/{each['name']}: {each['reason']}"
        for each in found
        if each.get("reason")
    ]
    return "\n".join([table(rows), *reasons])


def _line(event: dict[str, Any]) -> str:
    name = event["type"].removeprefix("dev.yokocho.").rpartition(".v")[0]
    return f"{event['time']}  {name:<22} {event['actor']}  {json.dumps(event['data'])[:160]}"


def _following(home: Any, name: str, *, lines: int, follow: bool) -> Any:
    from cli.client import Api
    from cli.home import SERVICES
    from libs.chassis.process import follow as followed

    if name in {*SERVICES, "postgres", "nats", "supervisor", "zygote"}:
        return followed(home.log(name))
    namespace, _, deployment = name.rpartition("/")
    params = {"lines": str(lines), "follow": "true" if follow else None}
    return Api.of(home).lines(
        f"/api/deployments/{namespace or 'default'}/{deployment}/logs",
        params,
        headers={"Accept": "text/plain"},
    )
