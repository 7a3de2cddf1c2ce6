"""Frames between the reader and its children: a batch's requests one way, parts of its answers the other.

A frame has three parts: its head, JSON; texts that are passed on as they are; and arrays that found no room in the
shared memory (``classifier.fits.block``). Everything is checked on arrival.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.fits.block import SharedBlock, SlotWriter
from classifier.fits.content import CardsText, Cutout, CutSpec, FitsContent, HeaderFacts, Spectrum
from classifier.fits.errors import FITS_ERRORS, FitsError, UnreadableError
from classifier.fits.wcs import LocalSky

LENGTHS = struct.Struct("<III")
MAX_HEAD_BYTES = 64 * 1024 * 1024
MAX_BODY_BYTES = 1024 * 1024 * 1024
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
_DTYPES = frozenset({"<f2", "<f4", "<f8"})


def _fields(kind: type[Any], *apart: str) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.name not in apart)


_FACTS = _fields(HeaderFacts, "cards")
_CUTOUT_ARRAYS = ("plane", "bands")
_CUTOUT = _fields(Cutout, *_CUTOUT_ARRAYS)
_SPECTRUM_ARRAYS = ("plane", "wavelength_nm", "flux", "error")
_SPECTRUM = _fields(Spectrum, *_SPECTRUM_ARRAYS)


def encode_file(path: str, spec: CutSpec) -> str:
    """One file of a batch's request."""
    return _ENCODER.encode((path, spec.size_px, spec.positions))


def encode_requests(slot: int, files: Sequence[str]) -> bytes:
    """The request of a batch of files as one frame; their arrays go into this slot."""
    return _frame(f"[{slot},[{','.join(files)}]]".encode(), b"", ())


def decode_requests(head: bytes) -> tuple[int, list[tuple[str, CutSpec]]]:
    """The slot, and paths with the cut-outs asked for."""
    slot, files = json.loads(head)
    return slot, [
        (
            path,
            CutSpec(
                size_px=size_px, positions=None if positions is None else tuple((ra, dec) for ra, dec in positions)
            ),
        )
        for path, size_px, positions in files
    ]


class Answers:
    """The child's answers of one batch that were not sent yet.

    Attributes:
        size_bytes: Of what waits, about.
    """

    def __init__(self, slot: SlotWriter) -> None:
        self._slot = slot
        self._clear()

    def __len__(self) -> int:
        return len(self._heads)

    def add(self, content: FitsContent) -> None:
        """Add a file's content.

        Raises:
            ValueError: It holds a number that is none, and nothing was added.
        """
        spectrum = content.spectrum
        cards = content.facts.cards.text.encode()
        arrays: list[NDArray[Any] | None] = []
        for image in content.images:
            arrays += [image.plane, image.bands]
        if spectrum is not None:
            arrays += [getattr(spectrum, name) for name in _SPECTRUM_ARRAYS]
        # The numbers first: only then is it certain that this file's arrays take room.
        plain = _ENCODER.encode(
            (
                content.kind,
                [getattr(content.facts, name) for name in _FACTS],
                len(cards),
                content.sha256,
                content.size_bytes,
                content.width_px,
                content.height_px,
                [[getattr(image, name) for name in _CUTOUT] for image in content.images],
                None if spectrum is None else [getattr(spectrum, name) for name in _SPECTRUM],
            )
        )
        there = [array for array in arrays if array is not None]
        put = self._put_shared if self._slot.has_room(there) else self._put_apart
        described = [
            [None if (array := getattr(image, name)) is None else put(array) for name in _CUTOUT_ARRAYS]
            for image in content.images
        ]
        if spectrum is not None:
            described.append(
                [None if (array := getattr(spectrum, name)) is None else put(array) for name in _SPECTRUM_ARRAYS]
            )
        self._heads.append(f"[{plain},{_ENCODER.encode(described)}]")
        self._texts.append(cards)
        self.size_bytes += len(plain) + len(cards)

    def refuse(self, error: FitsError) -> None:
        """Add a refusal."""
        self._heads.append(_ENCODER.encode({"error": error.code, "message": error.message, "hint": error.hint}))

    def take_frame(self) -> bytes:
        """What waits, as one frame."""
        frame = _frame(f"[{','.join(self._heads)}]".encode(), b"".join(self._texts), self._parts)
        self._clear()
        return frame

    def _clear(self) -> None:
        self._heads: list[str] = []
        self._texts: list[bytes] = []
        self._parts: list[bytes] = []
        self._length = self.size_bytes = 0

    def _put_shared(self, array: NDArray[Any]) -> list[Any]:
        """[dtype, shape, offset in the slot]."""
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return [little_endian.dtype.str, array.shape, self._slot.put(little_endian)]

    def _put_apart(self, array: NDArray[Any]) -> list[Any]:
        """[dtype, shape, offset in the frame's body, that it lies there]."""
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        described = [little_endian.dtype.str, array.shape, self._length, True]
        self._parts.append(little_endian.tobytes())
        self._length += array.nbytes
        self.size_bytes += array.nbytes
        return described


def decode_answers(
    head: bytes, texts: bytes, body: bytes, *, block: SharedBlock, slot: int
) -> list[FitsContent | FitsError]:
    """The answers of a frame: contents, and the errors that the child names.

    Raises:
        ValueError: The frame makes no sense.
    """
    try:
        answers = iter(json.loads(head))
        return list(_decoded(answers, texts, _Arrays(block=block, slot=slot, body=body)))
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError, IndexError) as error:
        raise ValueError("The frame makes no sense.") from error


def _decoded(answers: Iterator[Any], texts: bytes, arrays: _Arrays) -> Iterator[FitsContent | FitsError]:
    start = 0
    for answer in answers:
        if isinstance(answer, Mapping):
            kind = FITS_ERRORS.get(answer["error"], UnreadableError)
            yield kind(str(answer["message"])[:1000], hint=str(answer["hint"])[:1000])
            continue
        (kind_name, facts, cards_bytes, sha256, size_bytes, width_px, height_px, images, spectrum), described = answer
        cards = CardsText(texts[start : start + cards_bytes].decode())
        start += cards_bytes
        yield FitsContent(
            kind=kind_name,
            facts=HeaderFacts(**dict(zip(_FACTS, facts, strict=True)), cards=cards),
            sha256=sha256,
            size_bytes=size_bytes,
            images=tuple(map(arrays.cutout, images, described)),
            spectrum=None if spectrum is None else arrays.spectrum(spectrum, described[-1]),
            width_px=width_px,
            height_px=height_px,
        )


class _Arrays:
    """The arrays of a frame, wherever they lie."""

    def __init__(self, *, block: SharedBlock, slot: int, body: bytes) -> None:
        self._block, self._slot, self._body = block, slot, body

    def cutout(self, plain: Sequence[Any], described: Sequence[Any]) -> Cutout:
        values = dict(zip(_CUTOUT, plain, strict=True))
        sky = values["sky"]
        if sky is not None:
            values["sky"] = LocalSky(*map(float, sky))
        plane, bands = map(self._array, described)
        if plane is None:
            raise ValueError("A cut-out has no plane.")
        return Cutout(**values, plane=plane, bands=bands)

    def spectrum(self, plain: Sequence[Any], described: Sequence[Any]) -> Spectrum:
        arrays = map(self._array, described)
        return Spectrum(
            **dict(zip(_SPECTRUM, plain, strict=True)),
            **dict(zip(_SPECTRUM_ARRAYS, arrays, strict=True)),  # type: ignore[arg-type]  # mypy has one type for all
        )

    def _array(self, described: Sequence[Any] | None) -> NDArray[Any] | None:
        if described is None:
            return None
        dtype, shape, offset, *apart = described
        if dtype not in _DTYPES:
            raise ValueError(dtype)
        if apart:
            return np.ndarray(tuple(shape), dtype=dtype, buffer=self._body, offset=offset)
        return self._block.take(self._slot, dtype=dtype, shape=tuple(shape), offset=offset)


def _frame(head: bytes, texts: bytes, parts: Sequence[bytes]) -> bytes:
    return b"".join((LENGTHS.pack(len(head), len(texts), sum(map(len, parts))), head, texts, *parts))
