"""Redis as a cache that may be gone: what it cannot tell is a miss, what it cannot keep is not kept.

PostgreSQL is the source of truth of everything that is cached here (sessions).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

# While Redis is gone, it is asked again this often; a host that does not answer must not hold up every page.
ASK_AGAIN_AFTER_S = 5.0


class KeptRedisClient(RedisCacheClient):
    """Keeps redis-py's client, which threads may share: making one for each question costs more than the question.

    What every request of a session asks, `get`, goes over a connection of the thread's own, past the client.
    """

    _serializer: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: dict[bool, Any] = {}
        self._own = threading.local()

    def get(self, key: Any, default: Any) -> Any:
        name = str(key).encode()
        asked = b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(name), name)
        process, connection = getattr(self._own, "connection", (0, None))
        if connection is not None and process == os.getpid():
            try:
                return self._read(connection, asked, default)
            except RedisConnectionError:
                pass  # the server closes what was idle for long; a new connection knows better
        pool = self.get_client().connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        value = self._read(connection, asked, default)
        self._own.connection = os.getpid(), connection
        return value

    def _read(self, connection: Any, asked: bytes, default: Any) -> Any:
        connection.send_packed_command([asked], check_health=False)
        value = connection.read_response()
        return default if value is None else self._serializer.loads(value)

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        if write not in self._kept:
            self._kept[write] = super().get_client(key, write=write)
        return self._kept[write]


class ForgetfulRedisCache(RedisCache):
    """Django's Redis cache, whose errors are misses, logged once for each outage."""

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = KeptRedisClient
        self._gone_until = 0.0
        self._gone = False

    def ping(self) -> bool:
        """Whether Redis answers now."""
        try:
            return bool(self._cache.get_client(write=True).ping())
        except RedisError as error:
            self._note(error)
            return False

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("add", False, args, kwargs))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._ask("get", default, (key, default, version), {})

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._ask("set", None, args, kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("touch", False, args, kwargs))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("delete", False, args, kwargs))

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._ask("has_key", False, args, kwargs))

    def get_many(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(self._ask("get_many", {}, args, kwargs))

    def set_many(self, data: dict[Any, Any], *args: Any, **kwargs: Any) -> list[Any]:
        return list(self._ask("set_many", list(data), (data, *args), kwargs))

    def delete_many(self, *args: Any, **kwargs: Any) -> None:
        self._ask("delete_many", None, args, kwargs)

    def _ask(self, verb: str, otherwise: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if time.monotonic() < self._gone_until:
            return otherwise
        try:
            answer = getattr(super(), verb)(*args, **kwargs)
        except RedisError as error:
            self._note(error)
            return otherwise
        self._gone = False
        return answer

    def _note(self, error: RedisError) -> None:
        self._gone_until = time.monotonic() + ASK_AGAIN_AFTER_S
        if not self._gone:
            log.warning("Redis does not answer, the cache is empty until it does: %s", error)
        self._gone = True
