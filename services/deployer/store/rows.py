"""JSON columns and what they hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from libs.chassis.context import Cause
from services.deployer.domain.layout import Layout, ServiceSpec
from services.deployer.domain.resources import Resources


def dump(value: Any) -> str:
    return json.dumps(value, default=str)


def cause_of(raw: str) -> Cause:
    body = json.loads(raw)
    causation = body["causation_id"]
    return Cause(
        actor=body["actor"],
        org_id=UUID(body["org_id"]),
        correlation_id=body["correlation_id"],
        causation_id=UUID(causation) if causation else None,
        traceparent=body["traceparent"],
    )


def dump_cause(cause: Cause) -> str:
    return dump(asdict(cause))


def layout_of(raw: str) -> Layout:
    return tuple(_service(each) for each in json.loads(raw))


def dump_layout(layout: Layout) -> str:
    return dump([asdict(each) for each in layout])


def _service(body: Mapping[str, Any]) -> ServiceSpec:
    """What an earlier version wrote says nothing of resources."""
    resources = Resources(**body.get("resources", {}))
    return ServiceSpec(**{**body, "needs": tuple(body["needs"]), "resources": resources})
