"""Where policy says so, only what is signed runs; what is not signed yet is waited for."""

from datetime import timedelta

import pytest

from services.deployer.domain.verdict import Verdict
from services.deployer.errors import ImageUnsignedError
from tests.component.deployer.conftest import House
from tests.support.deployer import digest_of

ONE, OTHER = digest_of("aa"), digest_of("bb")
UNSIGNED = Verdict(trusted=False, reasons=("the image has no signature",))
NOT_YET = Verdict(trusted=False, pending=True, reasons=("it is being signed",))
AT_ONCE = pytest.mark.parametrize("patience", [timedelta(0)])


@pytest.fixture
def patience() -> timedelta | None:
    return timedelta(minutes=10)


async def came(house: House, digest: str = ONE) -> None:
    """A deployment whose image is there."""
    house.bentos.put("gateway:v1")
    await house.deploy("gateway:v1", "gw")
    await house.built(digest=digest)


async def changed(house: House, digest: str = OTHER) -> None:
    """Another revision of what runs, whose image is there."""
    house.bentos.put("gateway:v2")
    await house.call("PUT", "/api/v2/deployments/gw", {"bento": "gateway:v2"})
    await house.built(digest=digest)


async def test_what_is_signed_runs_and_is_asked_about_once(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")

    assert house.keeper.judged == [ONE]


@pytest.mark.parametrize("patience", [None])
async def test_without_the_policy_nobody_is_asked(house: House) -> None:
    house.keeper.verdicts[ONE] = UNSIGNED
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")

    assert house.keeper.judged == []


async def test_what_is_not_signed_fails_in_words_and_is_let_go(house: House) -> None:
    house.keeper.verdicts[ONE] = UNSIGNED
    await came(house)
    await house.settle()

    assert house.processes.launched == {}
    assert await house.status("gw") == "failed"
    failed = (await house.last("failed"))["data"]
    assert failed["code"] == "image-not-trusted"
    assert "the image has no signature" in failed["reason"]
    assert ONE in failed["reason"]
    assert house.keeper.held == {}


async def test_what_was_signed_afterwards_runs_when_it_is_deployed_again(house: House) -> None:
    house.keeper.verdicts[ONE] = UNSIGNED
    await came(house)
    await house.settle()

    del house.keeper.verdicts[ONE]
    await house.call("PUT", "/api/v2/deployments/gw", {"bento": "gateway:v1"})
    await house.built()
    await house.settle()
    assert house.processes.running == ["Gateway"]


async def test_what_serves_goes_on_when_its_successor_is_not_signed(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    house.keeper.verdicts[OTHER] = UNSIGNED
    await changed(house)
    await house.settle()

    assert await house.status("gw") == "failed"
    assert house.processes.history == ["start Gateway-0"]
    assert list(house.keeper.held.values()) == [ONE]


async def test_a_signature_that_is_still_to_come_is_waited_for(house: House) -> None:
    house.keeper.verdicts[ONE] = NOT_YET
    await came(house)
    for _ in range(3):
        with pytest.raises(ImageUnsignedError):
            await house.settle(turns=1)
    assert house.processes.launched == {}
    assert list(house.keeper.held.values()) == [ONE], "it stays meanwhile"

    del house.keeper.verdicts[ONE]
    await house.settle()
    assert house.processes.running == ["Gateway"]


@AT_ONCE
async def test_a_signature_that_never_comes_is_not_waited_for_for_ever(house: House) -> None:
    house.keeper.verdicts[ONE] = NOT_YET
    await came(house)
    await house.settle()

    failed = (await house.last("failed"))["data"]
    assert failed["code"] == "image-not-trusted"
    assert "it is being signed" in failed["reason"]


async def test_what_serves_is_tended_while_its_successor_waits_to_be_signed(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    house.keeper.verdicts[OTHER] = NOT_YET
    await changed(house)

    house.processes.vanish()
    with pytest.raises(ImageUnsignedError):
        await house.settle(turns=1)
    assert house.processes.running == ["Gateway"]


async def test_a_deployment_that_ends_while_it_waits_to_be_signed_holds_nothing(
    house: House,
) -> None:
    house.keeper.verdicts[ONE] = NOT_YET
    await came(house)
    with pytest.raises(ImageUnsignedError):
        await house.settle(turns=1)

    await house.call("POST", "/api/v2/deployments/gw/terminate")
    await house.settle()
    assert await house.status("gw") == "terminated"
    assert house.keeper.held == {}


async def test_what_serves_goes_on_when_its_key_is_believed_no_more(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    house.keeper.verdicts[ONE] = UNSIGNED

    house.restart()
    house.processes.vanish()
    await house.settle()

    assert house.keeper.judged == [ONE, ONE]
    assert house.processes.running == ["Gateway"]
    assert await house.status("gw") == "running"


async def test_the_same_image_is_looked_at_anew_for_another_revision(house: House) -> None:
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    house.keeper.verdicts[ONE] = UNSIGNED
    envs = [{"name": "KEY", "value": "x"}]
    await house.call("PUT", "/api/v2/deployments/gw", {"bento": "gateway:v1", "envs": envs})
    await house.settle()

    assert await house.status("gw") == "failed"
    assert house.processes.history == ["start Gateway-0"]


async def test_an_image_made_anew_for_what_served_is_not_run_unsigned(house: House) -> None:
    """It was lost while a successor was built; the new one is another, and nobody signed it."""
    house.bentos.put("gateway:v1")
    await house.run("gateway:v1", "gw")
    house.bentos.put("gateway:v2")
    await house.call("PUT", "/api/v2/deployments/gw", {"bento": "gateway:v2"})
    house.keeper.lost.add(ONE)
    house.keeper.verdicts[OTHER] = UNSIGNED
    house.restart()
    house.processes.vanish()
    await house.settle()

    await house.built(digest=OTHER)
    await house.settle()

    assert house.processes.running == []
    assert house.keeper.held == {}
    assert (await house.last("failed"))["data"]["code"] == "image-not-trusted"


async def test_what_was_held_before_there_was_a_policy_does_not_begin_to_serve(
    house: House,
) -> None:
    policy, house.trust = house.trust, None
    house.restart()
    house.keeper.verdicts[ONE] = UNSIGNED
    await came(house)
    await house.settle(turns=2)
    assert house.processes.running == ["Gateway"]

    house.trust = policy
    house.restart()
    await house.settle()
    assert house.processes.running == []
    assert (await house.last("failed"))["data"]["code"] == "image-not-trusted"
    assert house.keeper.held == {}
