"""Frames between the reader and its children: a JSON head and raw arrays, checked on arrival."""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.fits.content import Cutout, CutSpec, FitsContent, HeaderFacts, Spectrum
from classifier.fits.errors import FITS_ERRORS, FitsError, UnreadableError
from classifier.fits.wcs import LocalSky

LENGTHS = struct.Struct("<II")
MAX_HEAD_BYTES = 64 * 1024 * 1024
MAX_BODY_BYTES = 1024 * 1024 * 1024
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
_FIELDS = {kind: tuple(field.name for field in dataclasses.fields(kind)) for kind in (HeaderFacts, Cutout, Spectrum)}
_DTYPES = frozenset({"<f2", "<f4", "<f8"})


def encode_request(path: str, spec: CutSpec) -> bytes:
    """A request as one frame with an empty body."""
    return _frame({"path": path, "size_px": spec.size_px, "positions": spec.positions}, ())


def decode_request(head: bytes) -> tuple[str, CutSpec]:
    """The path and the cut-outs asked for."""
    request = json.loads(head)
    positions = request["positions"]
    return request["path"], CutSpec(
        size_px=request["size_px"],
        positions=None if positions is None else tuple((ra, dec) for ra, dec in positions),
    )


def encode_content(content: FitsContent) -> bytes:
    """A file's content as one frame."""
    body = _Body()
    head = {
        "kind": content.kind,
        "facts": _plain(content.facts, body),
        "sha256": content.sha256,
        "size_bytes": content.size_bytes,
        "images": [_plain(image, body) for image in content.images],
        "spectrum": None if content.spectrum is None else _plain(content.spectrum, body),
        "width_px": content.width_px,
        "height_px": content.height_px,
    }
    return _frame(head, body.parts)


def encode_error(error: FitsError) -> bytes:
    """A refusal as one frame."""
    return _frame({"error": error.code, "message": error.message, "hint": error.hint}, ())


def decode_answer(head: bytes, body: bytes) -> FitsContent:
    """The content of an answer.

    Raises:
        FitsError: The one that the child names; UnreadableError for a frame that makes no sense.
    """
    try:
        answer = json.loads(head)
        if "error" in answer:
            raise FITS_ERRORS[answer["error"]](str(answer["message"])[:1000], hint=str(answer["hint"])[:1000])
        spectrum = answer["spectrum"]
        return FitsContent(
            kind=answer["kind"],
            facts=HeaderFacts(**answer["facts"]),
            sha256=answer["sha256"],
            size_bytes=answer["size_bytes"],
            images=tuple(_cutout(image, body) for image in answer["images"]),
            spectrum=None if spectrum is None else Spectrum(**_rebuilt(spectrum, body)),
            width_px=answer["width_px"],
            height_px=answer["height_px"],
        )
    except FitsError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError("The reading process gave an answer that makes no sense.") from error


class _Body:
    """The raw arrays of a frame, one behind the other."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._length = 0

    def append(self, array: NDArray[Any]) -> dict[str, Any]:
        """Add an array; its description is [dtype, shape, offset in the body]."""
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        described = {"array": [little_endian.dtype.str, array.shape, self._length]}
        self.parts.append(little_endian.tobytes())
        self._length += array.nbytes
        return described


def _frame(head: Mapping[str, Any], parts: Sequence[bytes]) -> bytes:
    encoded = _ENCODER.encode(head).encode()
    return b"".join((LENGTHS.pack(len(encoded), sum(map(len, parts))), encoded, *parts))


def _plain(thing: HeaderFacts | Cutout | Spectrum, body: _Body) -> dict[str, Any]:
    """The fields as JSON values, arrays as their descriptions."""
    values = {name: getattr(thing, name) for name in _FIELDS[type(thing)]}
    return {name: body.append(value) if isinstance(value, np.ndarray) else value for name, value in values.items()}


def _rebuilt(plain: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    return {name: _array(value, body) if isinstance(value, dict) else value for name, value in plain.items()}


def _cutout(plain: Mapping[str, Any], body: bytes) -> Cutout:
    sky = plain["sky"]
    return Cutout(**{**_rebuilt(plain, body), "sky": None if sky is None else LocalSky(*map(float, sky))})


def _array(described: Mapping[str, Any], body: bytes) -> NDArray[Any]:
    dtype, shape, offset = described["array"]
    if dtype not in _DTYPES:
        raise ValueError(dtype)
    return np.ndarray(tuple(shape), dtype=dtype, buffer=body, offset=offset)
