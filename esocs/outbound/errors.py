"""Why a call to another server was not made, or came to nothing."""

from __future__ import annotations

from classifier.errors import EsocsError


class OutboundError(EsocsError):
    """A call to another server."""

    code = "outbound_failed"
    status = 502


class AddressRefusedError(OutboundError):
    """The address is none that may be called: not https, an unusual port, or inside a private network."""

    code = "outbound_address"
    status = 422


class OutboundFailedError(OutboundError):
    """The server cannot be reached, or answers with an error."""

    code = "outbound_failed"
    status = 502


class OutboundTimeoutError(OutboundError):
    """The server did not answer in time."""

    code = "outbound_timeout"
    status = 504


class ReplyRefusedError(OutboundError):
    """The answer is too large, compressed, or points elsewhere."""

    code = "outbound_reply"
    status = 502
