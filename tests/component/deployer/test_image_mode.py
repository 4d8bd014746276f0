"""In the mode `image` revisions ask for container images, and run from where these are unpacked."""

import pytest

from tests.component.deployer.conftest import House

IN_IMAGES = pytest.mark.parametrize("kind", ["oci"])
FOLDER = "file:///builder/unpacked/1"


@IN_IMAGES
async def test_a_revision_runs_from_the_folder_of_its_image(house: House) -> None:
    house.bentos.put("fox:v1")
    await house.deploy("fox:v1", "fox")

    asked = (await house.last("requested"))["data"]
    assert (asked["kind"], asked["target"], asked["org"]) == ("oci", "local", "default")
    await house.built(folder=FOLDER)
    await house.settle()

    [launch] = house.processes.launched.values()
    assert launch.image_uri == FOLDER


@IN_IMAGES
async def test_an_image_that_is_nowhere_here_does_not_run(house: House) -> None:
    house.bentos.put("fox:v1")
    await house.deploy("fox:v1", "fox")
    await house.built()
    await house.settle()

    assert (await house.last("failed"))["data"]["code"] == "image-kind-unsupported"
    assert house.processes.launched == {}


async def test_elsewhere_environments_are_asked_for(house: House) -> None:
    house.bentos.put("fox:v1")
    await house.deploy("fox:v1", "fox")

    assert (await house.last("requested"))["data"]["kind"] == "environment"
