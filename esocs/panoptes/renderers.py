"""Bodies in and out: strict JSON that PostgreSQL can keep, answered to whatever a client says it accepts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, NoReturn

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from esocs.panoptes.errors import MalformedRequestError, RequestTooLargeError

MEDIA_TYPE = "application/vnd.api+json; version=1"
JSON_TYPES = ("application/json", "application/vnd.api+json")
BODY_LIMIT_BYTES = 1_000_000
# An escaped zero character, and not an escaped backslash before the letters u0000.
_ZERO_CHARACTER = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class PanoptesRenderer(BaseRenderer):
    """Compact UTF-8 JSON under Panoptes' media type."""

    media_type = MEDIA_TYPE
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else encode(data)


def encode(data: Any) -> bytes:
    """The body of an answer."""
    return _encode(data).encode()


class LenientNegotiation(BaseContentNegotiation):
    """There is one kind of answer, so every Accept header gets it. Panoptes routes on that header; nobody misses it."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        content_type = media_type_of(request.content_type)
        return next((parser for parser in parsers if content_type in _types_of(parser)), None)

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


def _types_of(parser: BaseParser) -> tuple[str, ...]:
    return getattr(parser, "media_types", ()) or (parser.media_type,)


class PanoptesParser(BaseParser):
    """Reads `application/json` and `application/vnd.api+json` of at most a megabyte."""

    media_type = JSON_TYPES[0]
    media_types = JSON_TYPES

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The body as Python values.

        Raises:
            RequestTooLargeError: more than `BODY_LIMIT_BYTES`.
            MalformedRequestError: not JSON, or with numbers or characters that no JSON column can hold.
        """
        request = (parser_context or {}).get("request")
        return read_json(stream.read, announced=content_length(request.META) if request is not None else 0)


def content_length(meta: Mapping[str, Any]) -> int:
    """How many bytes a request says that its body has; 0 where it says nothing of use."""
    announced = str(meta.get("CONTENT_LENGTH") or "0")
    return int(announced) if announced.isascii() and announced.isdigit() else 0


def media_type_of(content_type: str | None) -> str:
    """A Content-Type without its parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


def read_json(read: Callable[[int], bytes], *, announced: int) -> Any:
    """A body of at most a megabyte as Python values; `PanoptesParser.parse` names the errors."""
    if announced > BODY_LIMIT_BYTES:
        raise _too_large()
    raw = read(BODY_LIMIT_BYTES + 1)
    if len(raw) > BODY_LIMIT_BYTES:
        raise _too_large()
    body = parse_json(raw)
    if isinstance(body, dict):
        # Zooniverse's JavaScript client writes into each body what it writes into each address; it means nothing.
        body.pop("http_cache", None)
    return body


def parse_json(raw: bytes) -> Any:
    """Strict JSON: no NaN, no infinities, no characters that PostgreSQL refuses.

    Raises:
        MalformedRequestError: anything else.
    """
    try:
        value = json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite)
        if b"\\u" in raw:
            _refuse_unstorable(value)
    except RecursionError:
        raise MalformedRequestError("The JSON is nested too deeply.") from None
    except ValueError as error:  # json.JSONDecodeError and UnicodeDecodeError are both
        raise MalformedRequestError(f"The body is not JSON: {error}") from None
    return value


def _refuse_unstorable(value: Any) -> None:
    """A zero character and half a surrogate pair can be escaped in JSON; PostgreSQL stores neither."""
    text = _encode(value)
    text.encode()  # UnicodeEncodeError, a ValueError, on half a pair
    if _ZERO_CHARACTER.search(text):
        raise ValueError("it holds a zero character")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value


def _too_large() -> RequestTooLargeError:
    return RequestTooLargeError(f"The body is larger than {BODY_LIMIT_BYTES:,} bytes.", hint="Send less metadata.")
