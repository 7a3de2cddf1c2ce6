"""Frames between the reader and its children: a batch's requests one way, parts of its answers the other.

A frame has three parts: its head, JSON; texts that are passed on as they are, each with the numbers of its cut-outs
packed behind it; and arrays that found no room in the shared memory (``classifier.fits.block``). Everything is checked
on arrival.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import isfinite, nan
from typing import Any, get_args, get_type_hints

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
# The numbers of a cut-out in the order in which they travel; of those that may be missing NaN says so.
_ALWAYS, _SOMETIMES, _SKY = 10, 4, len(LocalSky._fields)
_NUMBERS = struct.Struct(f"<{_ALWAYS + _SOMETIMES + _SKY}d")
_NO_SKY = (None,) * _SKY
_SPECTRUM_ARRAYS = ("plane", "wavelength_nm", "flux", "error")
_SPECTRUM = _fields(Spectrum, *_SPECTRUM_ARRAYS)


def _types(kind: type[Any], names: Sequence[str]) -> tuple[frozenset[type[Any]], ...]:
    hints = get_type_hints(kind)
    return tuple(frozenset(get_args(hints[name]) or (hints[name],)) for name in names)


_FACT_TYPES, _SPECTRUM_TYPES = _types(HeaderFacts, _FACTS), _types(Spectrum, _SPECTRUM)


def encode_file(path: str, spec: CutSpec) -> str:
    """One file of a batch's request."""
    asked = _anywhere(spec.size_px) if spec.positions is None else _ENCODER.encode((spec.size_px, spec.positions))[1:]
    return f"[{_ENCODER.encode(path)},{asked}"


@lru_cache(maxsize=16)
def _anywhere(size_px: int) -> str:
    return _ENCODER.encode((size_px, None))[1:]


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
        numbers = [_packed(image) for image in content.images]
        facts = ",".join([_text_of(getattr(content.facts, name)) for name in _FACTS])
        names = ",".join([_names_of(image.extension_name, image.unit) for image in content.images])
        told = "null" if spectrum is None else _ENCODER.encode([getattr(spectrum, name) for name in _SPECTRUM])
        plain = (
            f'["{content.kind}",[{facts}],{len(cards)},"{content.sha256}",{content.size_bytes},'
            f"{_text_of(content.width_px)},{_text_of(content.height_px)},[{names}],{told}]"
        )
        there = [array for array in arrays if array is not None]
        put = self._put_shared if self._slot.has_room(there) else self._put_apart
        described = [
            f"[{','.join(['null' if (array := getattr(image, name)) is None else put(array) for name in names])}]"
            for image, names in (
                *((image, _CUTOUT_ARRAYS) for image in content.images),
                *(() if spectrum is None else ((spectrum, _SPECTRUM_ARRAYS),)),
            )
        ]
        self._heads.append(f"[{plain},[{','.join(described)}]]")
        self._texts += [cards, *numbers]
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

    def _put_shared(self, array: NDArray[Any]) -> str:
        """[dtype, shape, offset in the slot]."""
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return f"{_shape_of(little_endian.dtype.str, array.shape)}{self._slot.put(little_endian)}]"

    def _put_apart(self, array: NDArray[Any]) -> str:
        """[dtype, shape, offset in the frame's body, that it lies there]."""
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        described = f"{_shape_of(little_endian.dtype.str, array.shape)}{self._length},true]"
        self._parts.append(little_endian.tobytes())
        self._length += array.nbytes
        self.size_bytes += array.nbytes
        return described


@lru_cache(maxsize=1024, typed=True)
def _text_of(value: str | float | None) -> str:
    """A fact as JSON: those of one instrument's files are mostly the same."""
    return _ENCODER.encode(value)


@lru_cache(maxsize=64)
def _names_of(extension_name: str, unit: str) -> str:
    return _ENCODER.encode((extension_name, unit))


@lru_cache(maxsize=64)
def _shape_of(dtype: str, shape: tuple[int, ...]) -> str:
    return f"{_ENCODER.encode((dtype, shape))[:-1]},"


def _packed(image: Cutout) -> bytes:
    """The numbers of a cut-out.

    Raises:
        ValueError: One of them is none.
    """
    always = (
        *(image.x_px, image.y_px, image.background, image.noise, image.saturated_share, image.missing_share),
        *(image.hdu, image.size_px, image.scale, image.edge),
    )
    position = image.position_index
    sometimes = (image.ra_deg, image.dec_deg, image.pixel_scale_arcsec, position, *(image.sky or _NO_SKY))
    if not all(map(isfinite, always)) or not all(map(isfinite, filter(_is_there, sometimes))):
        raise ValueError("A number of the cut-out is not finite.")
    return _NUMBERS.pack(*always, *[nan if value is None else value for value in sometimes])


def _is_there(value: float | None) -> bool:
    return value is not None


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
        (kind_name, facts, cards_bytes, sha256, size_bytes, width_px, height_px, names, spectrum), described = answer
        _check(facts, _FACT_TYPES)
        _check((kind_name, sha256, size_bytes, width_px, height_px), _CONTENT_TYPES)
        cards = CardsText(texts[start : start + cards_bytes].decode())
        start += cards_bytes
        images = []
        for (extension_name, unit), places in zip(names, described, strict=False):
            images.append(arrays.cutout(_unpacked(texts, start), places, extension_name=extension_name, unit=unit))
            start += _NUMBERS.size
        yield FitsContent(
            kind=kind_name,
            facts=HeaderFacts(**dict(zip(_FACTS, facts, strict=True)), cards=cards),
            sha256=sha256,
            size_bytes=size_bytes,
            images=tuple(images),
            spectrum=None if spectrum is None else arrays.spectrum(spectrum, described[-1]),
            width_px=width_px,
            height_px=height_px,
        )


_LENGTH = frozenset({int, type(None)})
_CONTENT_TYPES = (frozenset({str}), frozenset({str}), frozenset({int}), _LENGTH, _LENGTH)


def _check(values: Sequence[Any], types: Sequence[frozenset[type[Any]]]) -> None:
    """That values are of their types, numbers finite and texts what a database can hold.

    Raises:
        ValueError: They are not.
    """
    for value, allowed in zip(values, types, strict=True):
        kind = type(value)
        if kind not in allowed or (kind is float and not isfinite(value)) or (kind is str and not value.isprintable()):
            raise ValueError(f"{value!r:.40} is no {allowed}.")


def _unpacked(texts: bytes, start: int) -> tuple[Any, ...]:
    """The numbers of a cut-out, None for those that are missing.

    Raises:
        ValueError: They are not all there.
    """
    if start + _NUMBERS.size > len(texts):
        raise ValueError(start)
    numbers = _NUMBERS.unpack_from(texts, start)
    if not all(map(isfinite, numbers)):
        numbers = tuple(None if value != value else value for value in numbers)  # noqa: PLR0124 - true of NaN alone
        if None in numbers[:_ALWAYS] or not all(map(isfinite, filter(_is_there, numbers))):
            raise ValueError("A number of a cut-out is none.")
    return numbers


class _Arrays:
    """The arrays of a frame, wherever they lie."""

    def __init__(self, *, block: SharedBlock, slot: int, body: bytes) -> None:
        self._block, self._slot, self._body = block, slot, body

    def cutout(self, numbers: Sequence[Any], described: Sequence[Any], *, extension_name: str, unit: str) -> Cutout:
        always, (ra_deg, dec_deg, pixel_scale_arcsec, position, *sky) = numbers[:_ALWAYS], numbers[_ALWAYS:]
        x_px, y_px, background, noise, saturated_share, missing_share, hdu, size_px, scale, edge = always
        plane, bands = map(self._array, described)
        if plane is None:
            raise ValueError("A cut-out has no plane.")
        return Cutout(
            plane=plane,
            bands=bands,
            hdu=int(hdu),
            extension_name=str(extension_name),
            position_index=None if position is None else int(position),
            x_px=x_px,
            y_px=y_px,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            sky=None if None in sky else LocalSky(*sky),
            size_px=int(size_px),
            scale=int(scale),
            pixel_scale_arcsec=pixel_scale_arcsec,
            background=background,
            noise=noise,
            unit=str(unit),
            saturated_share=saturated_share,
            missing_share=missing_share,
            edge=bool(edge),
        )

    def spectrum(self, plain: Sequence[Any], described: Sequence[Any]) -> Spectrum:
        _check(plain, _SPECTRUM_TYPES)
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
