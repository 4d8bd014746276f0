"""What stands in a bill of materials, and that nothing but the image decides it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from services.builder.errors import SupplyError
from services.builder.supply.sbom import bill_of, environment_of, serial_of
from services.builder.supply.values import Subject
from services.builder.supply.wheels import Wheel, wheel_of
from tests.support import supply


def read(bill: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bill)
    return found


def needs(bill: dict[str, Any], purl: str) -> list[str]:
    [found] = [each for each in bill["dependencies"] if each["ref"].startswith(purl)]
    return [each.partition("?")[0] for each in found.get("dependsOn", ())]


def component(bill: dict[str, Any], purl: str) -> dict[str, Any]:
    [found] = [each for each in bill["components"] if each["purl"].startswith(purl)]
    return dict(found)


BILL = read(bill_of(supply.contents()))


@pytest.mark.timeout(30)  # the validator reads the whole list of licenses
def test_the_bill_is_what_cyclonedx_says() -> None:
    assert (BILL["bomFormat"], BILL["specVersion"]) == ("CycloneDX", "1.6")
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(bill_of(supply.contents()).decode()) is None
    broken = bill_of(supply.contents()).replace(b'"type":"container"', b'"type":"pod"').decode()
    assert validator.validate_str(broken) is not None


def test_everything_inside_is_named() -> None:
    assert {(each["type"], each["purl"].partition("?")[0]) for each in BILL["components"]} == {
        ("application", "pkg:generic/bento/iris@v1"),
        ("container", f"pkg:oci/python@{supply.BASE.digest}"),
        ("library", "pkg:deb/debian/adduser@3.134"),
        ("library", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4"),
        ("library", "pkg:pypi/alpha@1.0"),
        ("library", "pkg:pypi/beta-lib@2.0"),
        ("library", "pkg:pypi/gamma@3.0"),
        ("machine-learning-model", "pkg:generic/model/embedder@m2"),
        ("machine-learning-model", "pkg:generic/model/iris@m1"),
    }
    image = BILL["metadata"]["component"]
    assert image["type"] == "container"
    assert image["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert image["purl"] == (
        f"pkg:oci/iris@{supply.IMAGE}?arch=amd64&repository_url=registry.test:5000/acme/iris"
    )


def test_the_graph_says_who_needs_whom() -> None:
    assert needs(BILL, "pkg:oci/iris") == [
        "pkg:generic/bento/iris@v1",
        f"pkg:oci/python@{supply.BASE.digest}",
    ]
    assert needs(BILL, "pkg:generic/bento/iris") == [
        "pkg:generic/model/embedder@m2",
        "pkg:generic/model/iris@m1",
        "pkg:pypi/alpha@1.0",
    ]
    assert needs(BILL, "pkg:pypi/alpha") == ["pkg:pypi/beta-lib@2.0", "pkg:pypi/gamma@3.0"]
    assert len(needs(BILL, "pkg:oci/python")) == 2


def test_an_extra_that_nobody_asked_for_is_no_edge() -> None:
    bill = read(bill_of(replace(supply.contents(), asked=())))
    assert needs(bill, "pkg:pypi/alpha") == ["pkg:pypi/beta-lib@2.0"]
    assert "pkg:pypi/gamma@3.0" in needs(bill, "pkg:generic/bento/iris")


def test_licenses_are_said_in_the_form_that_the_package_allows() -> None:
    assert component(BILL, "pkg:pypi/alpha")["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert component(BILL, "pkg:pypi/beta")["licenses"] == [{"license": {"name": "BSD"}}]
    assert component(BILL, "pkg:pypi/gamma")["licenses"] == [
        {"license": {"name": "Apache Software License"}},
        {"license": {"name": "MIT License"}},
    ]


def test_a_file_is_named_only_where_the_lock_allows_no_other() -> None:
    one, several = component(BILL, "pkg:pypi/beta"), component(BILL, "pkg:pypi/alpha")
    assert one["hashes"] == [{"alg": "SHA-256", "content": "5" * 64}]
    assert "hashes" not in several
    assert [each["value"] for each in several["properties"]] == [supply.H1, supply.H2]


def test_without_an_installation_the_lock_is_what_is_known() -> None:
    bill = read(bill_of(replace(supply.contents(), wheels=())))
    purls = {each["purl"] for each in bill["components"] if "pypi" in each["purl"]}
    assert purls == {"pkg:pypi/alpha@1.0", "pkg:pypi/beta-lib@2.0", "pkg:pypi/colorama@0.4.6"}


def test_an_architecture_may_have_a_variant() -> None:
    bill = read(bill_of(replace(supply.contents(), platform="linux/arm64/v8")))
    assert "?arch=arm64&" in bill["metadata"]["component"]["purl"]
    assert environment_of("3.11.7", "linux/arm64/v8")["platform_machine"] == "aarch64"
    with pytest.raises(SupplyError, match="'arm64' is no platform"):
        bill_of(replace(supply.contents(), platform="arm64"))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_words_of_a_package_break_its_bill(words: str, name: str, home: str) -> None:
    metadata = f"Name: x\nVersion: 1\nSummary: {words}\nHome-page: https://{home}\n"
    metadata += f"License-Expression: {words}\nLicense: {name}\nClassifier: License :: {home}\n"
    metadata += f"Requires-Dist: {name}; {words}\nName: {name}\n"
    wheels = [wheel_of(metadata.encode()), wheel_of(metadata.replace("Expression", "X").encode())]
    wheels[1] = replace(wheels[1], name=f"y{name}", version=f"1{words}")
    bill = bill_of(replace(supply.contents(), wheels=wheels, pins=(), asked=()))
    assert bill == bill_of(replace(supply.contents(), wheels=wheels[::-1], pins=(), asked=()))


@pytest.mark.parametrize("marker", ["sys_platform > 'a'", "python_version ~= 'x'", "(" * 900 + "x"])
def test_a_marker_that_cannot_be_measured_does_not_stop_a_build(marker: str) -> None:
    odd = wheel_of(f"Name: odd\nVersion: 1\nRequires-Dist: gamma; {marker}\n".encode())
    bill = read(bill_of(replace(supply.contents(), wheels=[odd, *supply.contents().wheels])))
    assert "pkg:pypi/odd@1" in needs(bill, "pkg:generic/bento/iris")


def test_two_versions_of_one_distribution_cannot_be_installed() -> None:
    twice = [Wheel("a", "1"), Wheel("a", "2")]
    with pytest.raises(SupplyError, match="a is installed as 1 and as 2"):
        bill_of(replace(supply.contents(), wheels=twice))


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_order_decides_nothing(random: Any) -> None:
    given = supply.contents()

    def shuffled(values: Any) -> list[Any]:
        found = list(values)
        random.shuffle(found)
        return found

    other = replace(
        given,
        debian=shuffled(given.debian),
        models=shuffled(given.models),
        pins=shuffled(given.pins),
        wheels=shuffled(given.wheels),
        asked=shuffled(given.asked),
    )
    assert bill_of(other) == bill_of(given)


def test_the_serial_number_is_the_images() -> None:
    assert BILL["serialNumber"] == f"urn:uuid:{serial_of(supply.IMAGE)}"
    other = replace(supply.contents(), image=Subject(name="x", digest=supply.OTHER))
    assert read(bill_of(other))["serialNumber"] != BILL["serialNumber"]


def test_no_clock_is_read() -> None:
    assert "timestamp" not in BILL["metadata"]
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    stamped = bill_of(supply.contents(), at=at)
    assert read(stamped)["metadata"]["timestamp"] == "2026-01-02T03:04:05Z"
    elsewhere = at.astimezone(timezone(timedelta(hours=9)))
    assert bill_of(supply.contents(), at=elsewhere) == stamped
    with pytest.raises(SupplyError, match="zone"):
        bill_of(supply.contents(), at=at.replace(tzinfo=None))


def test_markers_are_measured_by_the_images_python() -> None:
    environment = environment_of("3.12.1", "linux/arm64")
    assert environment["python_version"] == "3.12"
    assert environment["platform_machine"] == "aarch64"
    old = wheel_of(supply.ALPHA.replace(b'"3.8"', b'"3.12"'))
    others = [each for each in supply.contents().wheels if each.name != "alpha"]
    on_311 = read(bill_of(replace(supply.contents(), wheels=[old, *others])))
    assert needs(on_311, "pkg:pypi/alpha") == ["pkg:pypi/gamma@3.0"]
