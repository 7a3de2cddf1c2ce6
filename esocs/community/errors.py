"""Why something about a comment or an account is refused: each with its stable code and HTTP status."""

from __future__ import annotations

from classifier.errors import EsocsError


class CommentInvalidError(EsocsError):
    """A comment without words, or with too many."""

    code = "comment_invalid"
    status = 422


class CommentTooSoonError(EsocsError):
    """So many comments in so little time are not a conversation."""

    code = "comment_too_soon"
    status = 429


class ThreadClosedError(EsocsError):
    """The thread of a subject that the asker has yet to classify: what others say would be in their answer."""

    code = "thread_closed"
    status = 403


class CommentForbiddenError(EsocsError):
    """Only its author changes a comment, and only a moderator judges it."""

    code = "comment_forbidden"
    status = 403


class AccountOwnsProjectsError(EsocsError):
    """An account that owns projects cannot be erased."""

    code = "account_owns_projects"
    status = 409


class AccountNotConfirmedError(EsocsError):
    """The password that confirms an erasure is not the account's."""

    code = "account_not_confirmed"
    status = 403
