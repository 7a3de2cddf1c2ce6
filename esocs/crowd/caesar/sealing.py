"""Passwords that are to be sent to other servers: kept sealed under the site's secret key.

Whoever reads the database or a copy of it reads none of them. Sealed is Fernet's token (AES-128-CBC with HMAC-SHA256,
https://github.com/fernet/spec) under a key derived from ESOCS_SECRET_KEY; those of ESOCS_SECRET_KEY_FALLBACKS open too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from classifier.errors import EsocsError


class SealBrokenError(EsocsError):
    """A kept password cannot be opened any more: the site's secret key has changed."""

    code = "seal_broken"
    status = 422


def seal(text: str) -> str:
    """The text as it may be kept; another one each time."""
    return _ring().encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    """The text that was sealed.

    Raises:
        SealBrokenError: under no key of ours.
    """
    try:
        return _ring().decrypt(token).decode()
    except (InvalidToken, ValueError):  # the latter of what is no base64 at all
        raise SealBrokenError(
            "A kept password cannot be opened: ESOCS_SECRET_KEY has changed.",
            hint="Name the former key in ESOCS_SECRET_KEY_FALLBACKS, or save the effect with its password again.",
        ) from None


def _ring() -> MultiFernet:
    """The keys, the one that seals first."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [hmac.new(secret.encode(), b"caesar-passwords", hashlib.sha256).digest() for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
