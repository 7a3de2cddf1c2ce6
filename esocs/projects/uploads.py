"""What an uploaded file really is: size, then type, then pixels. What the sender says of it is only a claim. Pure."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from PIL import Image

from classifier.errors import EsocsError

# Zooniverse's media types, and the extension that its classifier wants at the end of an address.
EXTENSIONS: Final = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/svg+xml": ".svg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".mp4",
    "video/mp4": ".mp4",
    "video/mpeg": ".mpeg",
    "text/plain": ".txt",
    "application/json": ".json",
}
PIXEL_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}
# Decoded, four bytes a pixel: what a browser of a volunteer's telephone can still show.
MOST_PIXELS: Final = 64_000_000
MOST_FRAMES: Final = 1_000


class MediaTypeUnsupportedError(EsocsError):
    """Files of this type are not shown to volunteers."""

    code = "media_type_unsupported"
    status = 422


class UploadTooLargeError(EsocsError):
    """The file is larger than an upload may be."""

    code = "upload_too_large"
    status = 413


class UploadInvalidError(EsocsError):
    """The file is not of the type that was announced, or it is damaged."""

    code = "upload_invalid"
    status = 422


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """What is known of a file that may be shown: its pixels, where it has any."""

    width_px: int | None = None
    height_px: int | None = None


def check_media_type(media_type: str) -> str:
    """The type's extension.

    Raises:
        MediaTypeUnsupportedError: files of this type are not shown.
    """
    extension = EXTENSIONS.get(media_type)
    if extension is None:
        raise MediaTypeUnsupportedError(
            f"Files of type {media_type[:60]!r} are not shown to volunteers.", hint=f"Send {', '.join(EXTENSIONS)}."
        )
    return extension


def check_upload(content: bytes, media_type: str, *, most_bytes: int) -> CheckedFile:
    """See that a file is what it was announced to be.

    Args:
        content: the file.
        media_type: one of `EXTENSIONS`.
        most_bytes: its largest size.

    Raises:
        UploadTooLargeError: more bytes, or more pixels, than are shown.
        UploadInvalidError: it is empty, damaged, or of another type.
    """
    if len(content) > most_bytes:
        raise UploadTooLargeError(f"The file has {len(content):,} bytes; at most {most_bytes:,} are taken.")
    if not content:
        raise UploadInvalidError("The file is empty.")
    if media_type in PIXEL_FORMATS:
        return _check_pixels(content, media_type)
    if not _looks_like(content, media_type):
        raise UploadInvalidError(f"The file is not {media_type}.", hint="Announce the type it really has.")
    return CheckedFile()


def _check_pixels(content: bytes, media_type: str) -> CheckedFile:
    """Dimensions are read from the header and judged before a pixel is decoded."""
    wanted = PIXEL_FORMATS[media_type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit only warns; ours refuses
            with Image.open(io.BytesIO(content), formats=[wanted]) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise UploadTooLargeError(f"{width} × {height} pixels are more than {MOST_PIXELS:,}.")
                if getattr(image, "n_frames", 1) > MOST_FRAMES:
                    raise UploadTooLargeError(f"The animation has more than {MOST_FRAMES} frames.")
                image.load()
    except Image.DecompressionBombError as error:
        raise UploadTooLargeError(f"The picture is too large to be decoded: {error}"[:300]) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UploadInvalidError(f"The file is not a whole {wanted}: {error}"[:300]) from None
    return CheckedFile(width_px=width, height_px=height)


def _looks_like(content: bytes, media_type: str) -> bool:
    match media_type:
        case "application/json":
            return _is_json(content)
        case "text/plain":
            return _is_text(content)
        case "image/svg+xml":
            return _is_svg(content)
        case "audio/mpeg":
            return content[:3] == b"ID3" or (content[0] == 0xFF and len(content) > 1 and content[1] & 0xE0 == 0xE0)
        case "audio/mp4" | "video/mp4":
            return content[4:8] == b"ftyp"
        case "video/mpeg":
            return content[:4] in {b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"}
    return False


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def _is_svg(content: bytes) -> bool:
    """A well-formed document whose root is `svg`, without a document type: entities have no business here."""
    names: list[str] = []

    def refuse(*_: object) -> None:
        raise ValueError("a document type")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda name, _: names.append(name)
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError):
        return False
    return names[0].rpartition(":")[2] == "svg"
