"""The 16-bit plane that the browser stretches itself: every float16 of a cut-out, and what is needed to read it.

One file, little-endian: ``ESOCSPL`` and the version as one byte; the length of the head in four bytes; the head, JSON
in UTF-8; then raw DEFLATE (RFC 1951) of the samples: of each band first all high bytes, then all low bytes, since
the high ones are alike and pack well. Row 0 is the top of the picture, the last row of the file.

The head: ``width``, ``height``, ``bands`` (1, or 3: red, green, blue); ``background`` and ``noise``, with which
background + noise × sample is the value in ``unit`` (of three bands they are 0 and 1 and the unit is ``sigma``, each
band's own sky noise); ``low`` and ``high``, black and white of the subject's picture, in samples; ``sky``, null or the
tangent plane of ``classifier.fits.wcs.LocalSky`` with y counted downwards from the top row. A sample of -0.0 is
missing.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.fits.wcs import LocalSky

EXTENSION = ".bin"
MEDIA_TYPE = "application/octet-stream"
BAND_UNIT = "sigma"

_MAGIC = b"ESOCSPL\x01"
_LENGTH = struct.Struct("<I")
# Higher levels take four times the time for 2 % of the bytes: the low bytes are noise.
_LEVEL = 3


def encode_display_plane(
    samples: NDArray[np.float16],
    *,
    limits: tuple[float, float],
    background: float = 0.0,
    noise: float = 1.0,
    unit: str = "",
    sky: Sequence[float] | None = None,
) -> bytes:
    """A plane, or three bands, as the browser reads it.

    Args:
        samples: float16 (H, W), or (3, H, W) red first, in sky sigmas; row 0 is the file's first.
        limits: Black and white of the picture that stands beside it, in samples.
        background: The sky's level in ``unit``; of bands it is not told.
        noise: Its standard deviation; of bands it is not told.
        unit: Of the file's pixels, or "".
        sky: The nine numbers of a ``LocalSky``; None where the image has no celestial WCS.
    """
    bands = samples[np.newaxis] if samples.ndim == 2 else samples
    bits = np.ascontiguousarray(bands[:, ::-1]).astype("<f2").view(np.uint16)
    coloured = len(bands) == 3
    head: dict[str, Any] = {
        "width": bands.shape[2],
        "height": bands.shape[1],
        "bands": len(bands),
        "background": 0.0 if coloured else background,
        "noise": 1.0 if coloured else noise,
        "unit": BAND_UNIT if coloured else unit,
        "low": float(limits[0]),
        "high": float(limits[1]),
        "sky": None if sky is None else _from_top(LocalSky(*sky), height=bands.shape[1])._asdict(),
    }
    encoded = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = [_MAGIC, _LENGTH.pack(len(encoded)), encoded]
    for band in bits:
        packed += [packer.compress((band >> 8).astype(np.uint8).tobytes())]
        packed += [packer.compress((band & 0xFF).astype(np.uint8).tobytes())]
    return b"".join([*packed, packer.flush()])


def decode_display_plane(encoded: bytes) -> tuple[dict[str, Any], NDArray[np.float16]]:
    """The head and the samples, float16 (bands, H, W), row 0 the top of the picture.

    Raises:
        ValueError: It is no plane, or a damaged one.
    """
    if not encoded.startswith(_MAGIC):
        raise ValueError("It is no plane.")
    start = len(_MAGIC) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(encoded, len(_MAGIC))
    head: dict[str, Any] = json.loads(encoded[start : start + length])
    shape = (head["bands"], 2, head["height"], head["width"])
    try:
        octets = zlib.decompress(encoded[start + length :], -zlib.MAX_WBITS)
    except zlib.error as error:
        raise ValueError("The plane is damaged.") from error
    parts = np.frombuffer(octets, np.uint8).reshape(shape).astype("<u2")
    return head, ((parts[:, 0] << 8) | parts[:, 1]).view(np.float16)


def _from_top(sky: LocalSky, *, height: int) -> LocalSky:
    """The same tangent plane with rows counted downwards from the picture's top."""
    return sky._replace(y_px=height - 1 - sky.y_px, cd12=-sky.cd12, cd22=-sky.cd22)
