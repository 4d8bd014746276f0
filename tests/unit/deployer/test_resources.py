"""What a service asks for is understood as Kubernetes and BentoML write it, or refused by name."""

import pytest

from services.deployer.domain.config import Config, ServiceConfig
from services.deployer.domain.layout import layout_of
from services.deployer.domain.resources import Resources, resources_of, written
from services.deployer.errors import DeploymentInvalidError
from services.deployer.store.rows import dump_layout
from services.deployer.store.rows import layout_of as layout_from
from tests.support.deployer import manifest


def asked(**given: object) -> Resources:
    return resources_of({"resources": given}, where="services.Gate.resources")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("4Gi", 4 << 30),
        ("512MiB", 512 << 20),
        ("512Mi", 512 << 20),
        ("1.5Gi", 3 << 29),
        ("2G", 2 * 10**9),
        ("2GB", 2 * 10**9),
        ("128974848", 128974848),
        (128974848, 128974848),
        ("129e6", 129_000_000),
        ("500m", 1),
        ("0", None),
        (None, None),
    ],
)
def test_memory_is_a_quantity_of_bytes(given: object, expected: int | None) -> None:
    assert asked(memory=given).memory_bytes == expected


@pytest.mark.parametrize(
    ("given", "expected"), [("2", 2.0), ("500m", 0.5), (1, 1.0), (0.1, 0.1), ("", None)]
)
def test_processors_may_be_thousandths(given: object, expected: float | None) -> None:
    assert asked(cpu=given).cpus == expected


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({"memory": "lots"}, "memory", id="words"),
        pytest.param({"memory": "-1Gi"}, "memory", id="negative"),
        pytest.param({"memory": "4gi"}, "memory", id="unknown-unit"),
        pytest.param({"memory": "9" * 20 + "Pi"}, "memory", id="more-than-there-is"),
        pytest.param({"memory": "1e99"}, "memory", id="more-than-fits"),
        pytest.param({"memory": "1" * 10_000}, "memory", id="long"),
        pytest.param({"memory": "٤Gi"}, "memory", id="other-digits"),
        pytest.param({"memory": True}, "memory", id="truth"),
        pytest.param({"memory": ["4Gi"]}, "memory", id="a-list"),
        pytest.param({"cpu": "2Gi"}, "cpu", id="memory-for-cpu"),
        pytest.param({"cpu": float("nan")}, "cpu", id="not-a-number"),
        pytest.param({"cpu": float("inf")}, "cpu", id="infinite"),
        pytest.param({"gpu": "all"}, "gpu", id="gpus"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_field(given: dict[str, object], named: str) -> None:
    with pytest.raises(DeploymentInvalidError, match=rf"services\.Gate\.resources\.{named}"):
        asked(**given)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(DeploymentInvalidError, match="no table"):
        resources_of({"resources": "4Gi"}, where="services.Gate.resources")


def test_a_deployment_overrides_what_the_bento_says_one_by_one() -> None:
    described = manifest("Gate")
    described["services"][0]["config"] = {"resources": {"cpu": "2", "memory": "4Gi", "gpu": 1}}
    overrides = {"resources": {"memory": "64Mi", "gpu": None}}
    config = Config(services={"Gate": ServiceConfig(overrides=overrides)})

    [service] = layout_of(described, config)

    assert service.resources == Resources(cpus=2.0, memory_bytes=64 << 20)
    assert service.resources.shown() == {"cpu": "2", "memory": "64Mi"}


def test_nobody_asks_for_anything_by_default() -> None:
    [service] = layout_of(manifest("Gate"), Config())

    assert service.resources == Resources()


def test_a_stored_layout_keeps_them_and_an_older_one_has_none() -> None:
    described = manifest("Gate")
    described["services"][0]["config"] = {"resources": {"cpu": "500m", "memory": "4Gi"}}
    layout = layout_of(described, Config())
    stored = dump_layout(layout)

    assert layout_from(stored) == layout
    older = stored.replace('"resources"', '"forgotten"')
    [service] = layout_from(
        older.replace(', "forgotten": {"cpus": 0.5, "memory_bytes": 4294967296, "gpus": null}', "")
    )
    assert service.resources == Resources()


@pytest.mark.parametrize(
    ("size", "expected"),
    [(64 << 20, "64Mi"), (3 << 29, "1536Mi"), (1000, "1000"), (1 << 40, "1Ti")],
)
def test_sizes_are_written_as_people_would(size: int, expected: str) -> None:
    assert written(size) == expected
