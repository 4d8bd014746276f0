"""Provenance as SLSA has it, that it can be built from again, and that it keeps secrets."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.builder.errors import SupplyError
from services.builder.supply import statements
from services.builder.supply.provenance import Inputs, Run, from_statement, statement_of
from services.builder.supply.values import Base
from tests.support import supply

INPUTS = supply.inputs()


def changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(statement_of(INPUTS))
    change(document)
    return json.dumps(document).encode()


def definition(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["predicate"]["buildDefinition"]
    return found


def test_the_statement_is_in_totos_with_slsas_predicate() -> None:
    document = json.loads(statement_of(INPUTS))
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    assert document["subject"] == [
        {"name": "registry.test:5000/acme/iris", "digest": {"sha256": "1" * 64}}
    ]
    assert definition(document)["buildType"] == "https://yokocho.dev/build/assemble/v1"
    assert definition(document)["externalParameters"] == {
        "bento": {"repository": "iris", "version": "v1", "digest": supply.BENTO.digest},
        "strategy": "assemble",
        "platforms": ["linux/amd64", "linux/arm64"],
        "options": {"cache": True, "compress": "zstd", "level": 3},
        "secrets": ["GIT_TOKEN", "PIP_TOKEN"],
    }
    assert definition(document)["internalParameters"] == {
        "planner": "1",
        "plan": INPUTS.plan,
        "python": "3.11.7",
    }
    assert document["predicate"]["runDetails"] == {
        "builder": {"id": "https://yokocho.test/builder", "version": {"yokocho": "0.1.0"}}
    }


def test_every_input_is_there_with_its_digest() -> None:
    materials = definition(json.loads(statement_of(INPUTS)))["resolvedDependencies"]
    assert [(each["annotations"]["yokocho.kind"], each["name"]) for each in materials] == [
        ("bento", "iris"),
        ("model", "embedder"),
        ("model", "iris"),
        ("base", "docker.io/library/python:3.11-slim"),
        ("lock", "requirements.lock.txt"),
        ("pin", "alpha"),
        ("pin", "beta-lib"),
        ("pin", "colorama"),
    ]
    assert all(each.get("digest") or each["annotations"]["yokocho.hashes"] for each in materials)
    assert materials[6]["uri"] == "pkg:pypi/beta-lib@2.0"
    assert materials[6]["digest"] == {"sha256": "5" * 64}
    assert materials[5]["annotations"]["yokocho.hashes"] == [supply.H1, supply.H2]


def test_what_was_written_is_what_a_rebuild_reads() -> None:
    assert from_statement(statement_of(INPUTS)) == INPUTS
    least = INPUTS.model_copy(update={"base": None, "python": None, "pins": (), "locks": ()})
    assert from_statement(statement_of(least)) == least


def test_when_it_ran_is_told_and_does_not_count() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    run = Run(invocation="build/7", started=at, finished=at)
    document = statement_of(INPUTS, run)
    assert json.loads(document)["predicate"]["runDetails"]["metadata"] == {
        "invocationId": "build/7",
        "startedOn": "2026-01-02T03:04:05Z",
        "finishedOn": "2026-01-02T03:04:05Z",
    }
    assert from_statement(document) == INPUTS
    with pytest.raises(ValidationError, match="timezone"):
        Run(started=at.replace(tzinfo=None))


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_order_decides_nothing(random: Any) -> None:
    values: dict[str, Any] = INPUTS.model_dump()
    for name in ("platforms", "secrets", "models", "pins"):
        values[name] = random.sample(values[name], len(values[name]))
    for pin in values["pins"]:
        pin["hashes"] = random.sample(pin["hashes"], len(pin["hashes"]))
    values["options"] = dict(random.sample(list(values["options"].items()), 3))
    assert statement_of(Inputs.model_validate(values)) == statement_of(INPUTS)


@pytest.mark.parametrize(
    "value", ["TOKEN=hunter2", "hunter2 hunter2", "hunter2\n", "", "hunter2" * 30]
)
def test_a_secrets_value_in_the_place_of_its_name_is_refused_unseen(value: str) -> None:
    values = {**INPUTS.model_dump(), "secrets": (value,)}
    with pytest.raises(ValidationError) as refused:
        Inputs.model_validate(values)
    assert "hunter2" not in str(refused.value)


def test_a_password_has_no_place_in_a_reference() -> None:
    for reference in ("https://me:pw@host/x", "me:pw@host/x", "host/x?token=pw"):
        with pytest.raises(ValidationError) as refused:
            Base(reference=reference, digest=supply.IMAGE)
        assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(_type="x"), "_type"),
        (lambda d: d.update(predicateType="https://slsa.dev/provenance/v0.2"), "predicateType"),
        (lambda d: d.pop("predicate"), "predicate"),
        (lambda d: d["subject"].append(d["subject"][0]), "subject"),
        (lambda d: d["subject"][0].update(digest={"sha512": "00"}), "without its sha256"),
        (lambda d: d["subject"][0].update(digest={"sha256": "00"}), "image|digest"),
        (lambda d: definition(d).update(buildType="https://other.test/v1"), "build type"),
        (lambda d: definition(d)["externalParameters"].update(new=1), "new"),
        (lambda d: definition(d)["externalParameters"].update(strategy="x"), "strategy"),
        (lambda d: definition(d)["externalParameters"].update(platforms=[]), "platforms"),
        (lambda d: definition(d)["internalParameters"].pop("plan"), "plan"),
        (lambda d: definition(d)["resolvedDependencies"].pop(0), "depends on another"),
        (
            lambda d: definition(d)["resolvedDependencies"][0]["annotations"].update(
                {"yokocho.version": "v2"}
            ),
            "depends on another",
        ),
        (
            lambda d: definition(d)["resolvedDependencies"].extend(
                definition(d)["resolvedDependencies"]
            ),
            "depends on another",
        ),
        (lambda d: definition(d)["resolvedDependencies"][1].pop("digest"), "without its sha256"),
        (lambda d: definition(d)["resolvedDependencies"][1].pop("annotations"), "annotations"),
        (lambda d: d["predicate"]["runDetails"]["builder"].update(id="nobody"), "builder"),
        (lambda d: d["predicate"]["runDetails"]["builder"].pop("version"), "version"),
    ],
)
def test_what_is_not_ours_or_not_whole_is_refused_by_its_place(
    change: Callable[[dict[str, Any]], None], words: str
) -> None:
    with pytest.raises(SupplyError, match=words):
        from_statement(changed(change))


def test_what_only_others_know_is_left_aside() -> None:
    def more(document: dict[str, Any]) -> None:
        document["predicate"]["runDetails"]["byproducts"] = [{"name": "log"}]
        document["predicate"]["buildDefinition"]["later"] = {}

    assert from_statement(changed(more)) == INPUTS


def test_a_statement_is_read_within_limits() -> None:
    with pytest.raises(SupplyError, match="are the most"):
        from_statement(b" " * (statements.LIMIT + 1))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(SupplyError):
        from_statement(data)
