"""What can be wrong with a file of votes, or with the machine that is to aggregate it."""

from __future__ import annotations

from pathlib import Path

from classifier.errors import EsocsError


class VotesFileError(EsocsError):
    """A file that cannot be read as votes; names the file, and the row where one is at fault.

    Attributes:
        path: the file.
        row: its row, the header being row 1; 0 where no single row is at fault.
    """

    code = "invalid_votes_file"
    status = 422

    def __init__(self, message: str, *, path: Path, row: int = 0, hint: str = "") -> None:
        where = f"{path}, row {row}" if row else str(path)
        super().__init__(f"{where}: {message}", hint=hint)
        self.path = path
        self.row = row


class PartitionsError(EsocsError):
    """Partitions that are not there, are not whole, or do not fit what is asked of them."""

    code = "invalid_partitions"
    status = 422


class ExtraMissingError(EsocsError):
    """An optional part of esocs is not installed."""

    code = "extra_not_installed"
    status = 501


class ClusterUnavailableError(EsocsError):
    """No scheduler answers at the address of the cluster."""

    code = "cluster_unavailable"
    status = 503
