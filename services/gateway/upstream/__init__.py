"""Requests to whoever is behind the gateway: bytes pass in both directions, none are kept."""

from services.gateway.upstream.exchange import (
    Body,
    BrokenOffError,
    NotSentError,
    SilentError,
    open_exchange,
    relay,
)
from services.gateway.upstream.replicas import Replica, Replicas
from services.gateway.upstream.websocket import HandshakeRefusedError, WebSocketLimits, converse

__all__ = [
    "Body",
    "BrokenOffError",
    "HandshakeRefusedError",
    "NotSentError",
    "Replica",
    "Replicas",
    "SilentError",
    "WebSocketLimits",
    "converse",
    "open_exchange",
    "relay",
]
