"""Calls to other people's servers, at addresses that project owners typed: they reach the public Internet alone.

Pure of Django: who calls says which origins are allowed beside the public ones.
"""

from __future__ import annotations

from esocs.outbound.addresses import Origin, Target, read_target
from esocs.outbound.client import Limits, Reply, call
from esocs.outbound.errors import (
    AddressRefusedError,
    OutboundError,
    OutboundFailedError,
    OutboundTimeoutError,
    ReplyRefusedError,
)

__all__ = [
    "AddressRefusedError",
    "Limits",
    "Origin",
    "OutboundError",
    "OutboundFailedError",
    "OutboundTimeoutError",
    "Reply",
    "ReplyRefusedError",
    "Target",
    "call",
    "read_target",
]
