"""The connection to another Panoptes server, by Zooniverse's own client: an extra that the site itself can spare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from classifier.errors import EsocsError
from esocs.crowd.files.errors import ExtraMissingError

ZOONIVERSE = "https://www.zooniverse.org"


class RemoteServerError(EsocsError):
    """The other Panoptes server refuses, or does not answer as one."""

    code = "remote_server"
    status = 502


@contextmanager
def connect(*, endpoint: str, login: str, password: str) -> Iterator[ModuleType]:
    """The client's module, signed in; what the other server says against us becomes our error.

    Raises:
        ExtraMissingError: the client is not installed.
        RemoteServerError: whatever the server refused inside the block.
    """
    try:
        client = import_module("panoptes_client")
        requests = import_module("requests")
    except ImportError as error:
        raise ExtraMissingError("panoptes-client is not installed.", hint="pip install 'esocs[panoptes]'") from error
    refused: tuple[Any, ...] = (client.panoptes.PanoptesAPIException, requests.RequestException, KeyError)
    try:
        with client.Panoptes(endpoint=endpoint, username=login, password=password) as signed_in:
            try:
                yield client
            finally:
                signed_in.session.close()
    except refused as error:
        raise RemoteServerError(f"{endpoint}: {error}", hint="Check the address, the log-in and your role.") from error


def find_project(client: ModuleType, name: str) -> Any:
    """A project of the other server by number or slug."""
    return client.Project.find(name) if name.isdecimal() else client.Project.find(slug=name)
