"""Situations of one deployment, and what is done about each."""

from dataclasses import replace

import pytest

from services.deployer.domain.deployment import Deployment, Goal, Revision, Stage
from services.deployer.plan import ATTEMPTS, Phase, Seen, plan
from tests.support.rollouts import ALONE, GATE, INNER, NOW, brief, deployment, revision, seen

FRESH = deployment()
SERVING = deployment(routed=1, generation=1, applied=1)
MOVING = deployment(routed=2, generation=2, applied=1)
MOVED = deployment(routed=2, generation=2, applied=2)
OLD = revision(1, Stage.SERVING, routed=1)
BUILT = revision(2, Stage.BUILT)
TWO = (INNER, GATE)
RECREATED = (replace(ALONE, recreate=True),)
URL_1 = ("http://127.0.0.1:150",)

COMING_UP = [
    pytest.param(FRESH, [revision(1, Stage.PENDING)], [], [], id="no-image-yet"),
    pytest.param(
        FRESH, [revision(1, Stage.BUILT, held=False)], [], ["hold r1"], id="held-before-it-runs"
    ),
    pytest.param(FRESH, [revision(1, Stage.BUILT)], [], ["start r1 Gate"], id="first-start"),
    pytest.param(
        FRESH,
        [revision(1, Stage.BUILT, layout=TWO)],
        [],
        ["start r1 Inner"],
        id="dependency-first",
    ),
    pytest.param(
        FRESH,
        [revision(1, Stage.BUILT, layout=TWO)],
        [seen(1, Phase.STARTING, service="Inner")],
        [],
        id="dependency-not-ready",
    ),
    pytest.param(
        FRESH,
        [revision(1, Stage.BUILT, layout=TWO)],
        [seen(1, Phase.READY, service="Inner")],
        ["start r1 Gate"],
        id="then-the-dependant",
    ),
    pytest.param(FRESH, [revision(1, Stage.BUILT)], [seen(1, Phase.STARTING)], [], id="it-starts"),
    pytest.param(
        FRESH,
        [revision(1, Stage.BUILT)],
        [seen(1, Phase.READY)],
        ["route r1 100"],
        id="ready-is-routed",
    ),
    pytest.param(
        FRESH,
        [revision(1, Stage.BUILT)],
        [seen(1, Phase.DOWN, failures=1, due=False)],
        [],
        id="backs-off",
    ),
    pytest.param(
        FRESH,
        [revision(1, Stage.BUILT)],
        [seen(1, Phase.DOWN, failures=1)],
        ["start r1 Gate"],
        id="tries-again",
    ),
    pytest.param(
        FRESH,
        [revision(1, Stage.BUILT)],
        [seen(1, Phase.DOWN, failures=ATTEMPTS)],
        ["fail r1 service-crashed"],
        id="gives-up",
    ),
    pytest.param(
        FRESH,
        [revision(1, Stage.BUILT)],
        [seen(1, Phase.STARTING, overdue=True)],
        ["fail r1 service-start-timeout"],
        id="takes-too-long",
    ),
    pytest.param(
        FRESH,
        [revision(1, Stage.FAILED)],
        [seen(1, Phase.STARTING)],
        ["stop r1 Gate"],
        id="failed-is-ended",
    ),
    pytest.param(FRESH, [revision(1, Stage.FAILED)], [], ["release r1"], id="failed-is-let-go"),
    pytest.param(
        FRESH, [revision(1, Stage.FAILED, held=False)], [], [], id="failed-stays-to-be-seen"
    ),
]
SERVED_AND_REPLACED = [
    pytest.param(SERVING, [OLD], [seen(1, Phase.READY)], [], id="converged"),
    pytest.param(
        SERVING, [OLD], [seen(1, Phase.DOWN, failures=1)], ["start r1 Gate"], id="crash-restarts"
    ),
    pytest.param(
        SERVING,
        [OLD],
        [seen(1, Phase.DOWN, failures=ATTEMPTS)],
        ["start r1 Gate", "trouble r1 begins"],
        id="crash-after-crash",
    ),
    pytest.param(
        SERVING,
        [replace(OLD, trouble="it keeps ending")],
        [seen(1, Phase.READY)],
        ["trouble r1 ends"],
        id="recovered",
    ),
    pytest.param(
        replace(SERVING, upstreams=("http://127.0.0.1:1",)),
        [OLD],
        [seen(1, Phase.READY)],
        ["route r1 100"],
        id="port-moved",
    ),
    pytest.param(
        SERVING,
        [replace(OLD, layout=TWO)],
        [seen(1, Phase.READY, service="Inner"), seen(1, Phase.READY, needs=("http://old",))],
        ["stop r1 Gate"],
        id="dependency-moved",
    ),
    pytest.param(
        SERVING,
        [OLD, BUILT],
        [seen(1, Phase.READY)],
        ["start r2 Gate"],
        id="new-beside-old",
    ),
    pytest.param(
        SERVING,
        [OLD, BUILT],
        [seen(1, Phase.READY), seen(2, Phase.READY)],
        ["route r2 200"],
        id="new-is-ready",
    ),
    pytest.param(
        MOVING,
        [OLD, revision(2, Stage.ROUTED, routed=2)],
        [seen(1, Phase.READY), seen(2, Phase.READY)],
        [],
        id="old-waits-for-the-traffic",
    ),
    pytest.param(
        MOVED,
        [OLD, revision(2, Stage.SERVING, routed=2)],
        [seen(1, Phase.READY), seen(2, Phase.READY)],
        ["stop r1 Gate"],
        id="old-goes-last",
    ),
    pytest.param(
        MOVED,
        [OLD, revision(2, Stage.SERVING, routed=2)],
        [seen(1, Phase.STOPPING), seen(2, Phase.READY)],
        [],
        id="old-drains",
    ),
    pytest.param(
        MOVED,
        [OLD, revision(2, Stage.SERVING, routed=2)],
        [seen(1, Phase.GONE), seen(2, Phase.READY)],
        ["forget r1 Gate"],
        id="old-is-gone",
    ),
    pytest.param(
        MOVED,
        [OLD, revision(2, Stage.SERVING, routed=2)],
        [seen(2, Phase.READY)],
        ["release r1 retire"],
        id="old-retires",
    ),
    pytest.param(
        SERVING,
        [OLD, revision(2, Stage.FAILED)],
        [seen(1, Phase.READY), seen(2, Phase.DOWN)],
        ["forget r2 Gate"],
        id="failed-update-leaves-the-old",
    ),
    pytest.param(
        SERVING,
        [OLD, revision(2, Stage.FAILED, held=False)],
        [seen(1, Phase.DOWN)],
        ["start r1 Gate"],
        id="old-is-kept-alive-after-a-failed-update",
    ),
    pytest.param(
        SERVING,
        [OLD, BUILT, revision(3, Stage.PENDING)],
        [seen(1, Phase.READY), seen(2, Phase.STARTING)],
        ["stop r2 Gate"],
        id="superseded-while-starting",
    ),
    pytest.param(
        SERVING,
        [OLD, revision(2, Stage.BUILT, layout=RECREATED)],
        [seen(1, Phase.READY)],
        ["stop r1 Gate"],
        id="recreate-ends-the-old",
    ),
    pytest.param(
        SERVING,
        [OLD, revision(2, Stage.PENDING, layout=RECREATED)],
        [seen(1, Phase.READY)],
        [],
        id="recreate-waits-for-its-image",
    ),
    pytest.param(
        SERVING,
        [OLD, revision(2, Stage.BUILT, layout=RECREATED)],
        [],
        ["start r2 Gate", "release r1 retire"],
        id="recreate-starts-after",
    ),
]
LOST = replace(OLD, stage=Stage.PENDING, image_uri=None, held=False)
LOST_AND_FOUND = [
    pytest.param(SERVING, [LOST], [seen(1, Phase.DOWN)], [], id="lost-waits"),
    pytest.param(MOVING, [LOST, BUILT], [seen(1, Phase.DOWN)], ["start r2 Gate"], id="lost-old"),
    pytest.param(
        MOVING,
        [replace(OLD, stage=Stage.BUILT, held=False), BUILT],
        [seen(1, Phase.DOWN)],
        ["start r2 Gate", "hold r1"],
        id="found-old-is-held",
    ),
]
ENDING = [
    pytest.param(
        replace(SERVING, goal=Goal.STOP),
        [replace(OLD, layout=TWO)],
        [seen(1, Phase.READY, service="Inner"), seen(1, Phase.READY, needs=URL_1)],
        ["stop r1 Gate"],
        id="terminate-entry-first",
    ),
    pytest.param(
        replace(SERVING, goal=Goal.STOP),
        [replace(OLD, layout=TWO)],
        [seen(1, Phase.READY, service="Inner"), seen(1, Phase.STOPPING, needs=URL_1)],
        [],
        id="terminate-waits-for-the-entry",
    ),
    pytest.param(replace(SERVING, goal=Goal.STOP), [], [], ["end stop"], id="terminated-is-said"),
    pytest.param(replace(SERVING, goal=Goal.STOP, ended_at=NOW), [], [], [], id="terminated-stays"),
    pytest.param(
        replace(SERVING, goal=Goal.REMOVE), [OLD], [], ["release r1 retire"], id="delete-lets-go"
    ),
    pytest.param(replace(SERVING, goal=Goal.REMOVE), [], [], ["end remove"], id="deleted"),
]


@pytest.mark.parametrize(
    ("wanted", "revisions", "observed", "expected"),
    [*COMING_UP, *SERVED_AND_REPLACED, *LOST_AND_FOUND, *ENDING],
)
def test_plan(
    wanted: Deployment, revisions: list[Revision], observed: list[Seen], expected: list[str]
) -> None:
    actions = plan(wanted, revisions, observed, drained=True)

    assert [brief(action) for action in actions] == expected


def test_the_old_revision_is_left_alone_until_its_last_callers_are_gone() -> None:
    revisions = [OLD, revision(2, Stage.SERVING, routed=2)]
    observed = [seen(1, Phase.READY), seen(2, Phase.READY)]

    assert plan(MOVED, revisions, observed, drained=False) == ()


def test_the_plan_does_not_depend_on_the_order_of_what_is_seen() -> None:
    revisions = [revision(2, Stage.SERVING, routed=2), OLD]
    observed = [seen(2, Phase.READY), seen(1, Phase.READY)]

    forwards = plan(MOVED, revisions, observed, drained=True)
    backwards = plan(MOVED, revisions[::-1], observed[::-1], drained=True)

    assert set(map(brief, forwards)) == set(map(brief, backwards)) == {"stop r1 Gate"}
