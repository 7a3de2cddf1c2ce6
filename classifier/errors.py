"""The one base of every typed error in esocs: a stable code, an HTTP status, a message and a hint."""

from __future__ import annotations


class EsocsError(Exception):
    """An error that a person or a program can act on.

    Attributes:
        code: Stable identifier, the same in logs, database rows, HTTP answers and docs/errors.md.
        status: HTTP status with which a door answers it.
        message: One sentence for the person it concerns.
        hint: What to do about it; may be empty.
        ends_process: Whether the process that met it can do no more work, and is to be replaced by a fresh one.
    """

    code = "internal_error"
    status = 500
    ends_process = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
