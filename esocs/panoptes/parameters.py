"""Query parameters, read strictly: a value of the wrong kind is the sender's error, never a surprise later."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.http import QueryDict

from esocs.panoptes.errors import InvalidRequestError

# PostgreSQL's bigint; a larger number names nothing.
LARGEST_ID = 2**63 - 1


def read_id(query: QueryDict, name: str) -> int | None:
    """One id, or None when the parameter is absent or empty.

    Raises:
        InvalidRequestError: it is not a number.
    """
    text = query.get(name, "")
    return parse_id(text, name) if text else None


def read_ids(query: Mapping[str, str], name: str) -> list[int]:
    """Ids separated by commas; an absent or empty parameter has none.

    Raises:
        InvalidRequestError: one of them is not a number.
    """
    return [parse_id(part.strip(), name) for part in query.get(name, "").split(",") if part.strip()]


def read_count(query: Mapping[str, str], name: str, *, default: int, most: int, least: int = 1) -> int:
    """A number between `least` and `most`; more than `most` is `most`.

    Raises:
        InvalidRequestError: it is not a number, or less than `least`.
    """
    text = query.get(name, "")
    if not text:
        return default
    value = parse_id(text, name)
    if value < least:
        raise InvalidRequestError(f"{name} must be at least {least}.")
    return min(value, most)


def read_boolean(query: QueryDict, name: str) -> bool | None:
    """True, False, or None when the parameter is absent.

    Raises:
        InvalidRequestError: it is neither `true` nor `false`.
    """
    text = query.get(name, "").lower()
    if text not in {"", "true", "false", "1", "0"}:
        raise InvalidRequestError(f"{name} must be true or false.")
    return None if not text else text in {"true", "1"}


def read_text(query: QueryDict, name: str) -> str:
    """The text, or "" when the parameter is absent.

    Raises:
        InvalidRequestError: it holds a zero character, which no text in the database can.
    """
    text = query.get(name, "")
    if "\0" in text:
        raise InvalidRequestError(f"{name} holds a zero character.")
    return text


def read_order(query: QueryDict, allowed: Collection[str]) -> list[str]:
    """The columns of `sort`, separated by commas, each with `-` before it where the largest comes first.

    Raises:
        InvalidRequestError: one of them is not among `allowed`.
    """
    names = [name.strip() for name in query.get("sort", "").split(",") if name.strip()]
    for name in names:
        if name.removeprefix("-") not in allowed:
            raise InvalidRequestError(
                f"Nothing can be sorted by {name[:40]!r}.", hint=f"Use {', '.join(sorted(allowed))}."
            )
    return names


def parse_id(text: str, name: str) -> int:
    """A non-negative number as it stands in an address.

    Raises:
        InvalidRequestError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidRequestError(f"{name} must be a number, not {text[:40]!r}.")
    return min(int(text), LARGEST_ID)
