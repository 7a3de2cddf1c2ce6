"""Extractors, reducers and effects as they are sent: what is refused, and what is meant. Pure.

Clients write what a type needs beside the key or under `config`, as they like; it is kept under `config`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from esocs.crowd.caesar import filters as of
from esocs.crowd.caesar.errors import CaesarConfigurationError, CaesarUnsupportedError
from esocs.crowd.caesar.extraction import EXTRACTORS, SHAPES, Extractor
from esocs.crowd.caesar.filters import Filters, Grouping, Reducer
from esocs.crowd.caesar.jsonpath import compile_path
from esocs.crowd.caesar.reduction import REDUCERS, STATISTICS
from esocs.crowd.rule_language import InvalidRuleError, check
from esocs.crowd.rule_templates import RENAMED_REASONS, RETIREMENT_REASONS
from esocs.outbound import read_target

Sent = Mapping[str, Any]

EXTRACTOR_TYPES = (*EXTRACTORS, "external", "machine")
"""`machine` is ours alone: what our own network says of the first question."""

REDUCER_TYPES = (*REDUCERS, "external", "sqs", "placeholder")
CALLED = ("external", "sqs")
"""Reducers that other servers are; what sqs sends into a queue is written back by its reader."""
TOPICS = ("reduce_by_subject", "reduce_by_user")
MODES = ("default_reduction", "running_reduction")
SUBJECT_ACTIONS = (
    "retire_subject",
    "add_subject_to_set",
    "add_subject_to_collection",
    "external",
    "external_with_basic_auth",
)
USER_ACTIONS = ("promote_user",)
ALIASES = {"add_to_collection": "add_subject_to_collection"}
"""The older client's word."""

KEY = re.compile(r"[^\s./?#%\\\x00-\x1f]([^./?#%\\\x00-\x1f]{0,98}[^\s./?#%\\\x00-\x1f])?")
TASK_KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")
VERSION = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?")
RESERVED_KEYS = frozenset({"subject"})
LARGEST_CONFIG = 20_000
MOST_FIELDS = 50


def read_extractor(sent: Sent, *, allowed: Collection[str] = ()) -> dict[str, Any]:
    """The columns of an extractor.

    Args:
        sent: Caesar's JSON: key, type, task_key, if_missing, minimum_workflow_version, and what the type needs.
        allowed: origins that external ones may call besides public ones.

    Raises:
        CaesarConfigurationError, AddressRefusedError: it cannot work.
    """
    kind = _one_of("type", sent.get("type"), EXTRACTOR_TYPES)
    config = _config(sent, {"key", "type", "minimum_workflow_version", "id", "workflow_id"})
    task_key = config.pop("task_key", None) or "T0"
    if not isinstance(task_key, str) or not TASK_KEY.fullmatch(task_key):
        raise CaesarConfigurationError(f"`task_key` {_shown(task_key)} is no task's key, such as T0.")
    if_missing = config.pop("if_missing", None) or "error"
    choices = ("error", "ignore", "nothing_here") if kind == "survey" else ("error", "ignore")
    _one_of("if_missing", if_missing, choices)
    if if_missing == "nothing_here" and not config.get("nothing_here_choice"):
        raise CaesarConfigurationError("`if_missing` nothing_here needs a `nothing_here_choice`.")
    config = {**config, **_checked_fields(kind, config, allowed)}
    version = sent.get("minimum_workflow_version") or ""
    read_version(version)
    return {
        "key": _key(sent.get("key")),
        "type": kind,
        "task_key": task_key,
        "if_missing": if_missing,
        "minimum_workflow_version": str(version),
        "config": config,
    }


def _checked_fields(kind: str, config: Sent, allowed: Collection[str]) -> dict[str, Any]:
    if kind == "shape":
        return {"shape": _one_of("shape", config.get("shape"), tuple(SHAPES))}
    if kind == "external":
        read_target(config.get("url"), allowed=allowed)
    if kind == "pluck_field":
        fields = config.get("field_map")
        if not isinstance(fields, Mapping) or not 1 <= len(fields) <= MOST_FIELDS:
            raise CaesarConfigurationError('`field_map` is {"name": "$.path"}, of some fields.')
        for path in fields.values():
            compile_path(path)
    return {}


def read_version(text: Any) -> tuple[int, int] | None:
    """`16.50` as (16, 50), `16` as (16, 0), nothing as None.

    Raises:
        CaesarConfigurationError: it is anything else.
    """
    if text is None or text == "":
        return None
    found = VERSION.fullmatch(str(text)) if isinstance(text, (str, int)) and not isinstance(text, bool) else None
    if found is None:
        raise CaesarConfigurationError(f"{_shown(text)} is no workflow version.", hint="Send it as text: 16.50.")
    return int(found[1]), int(found[2] or 0)


def read_reducer(sent: Sent, *, allowed: Collection[str] = (), queues: bool = True) -> dict[str, Any]:
    """The columns of a reducer.

    Args:
        sent: Caesar's JSON.
        allowed: origins that may be called besides public ones.
        queues: whether this site has a key for Amazon's queues.

    Raises:
        CaesarConfigurationError, AddressRefusedError: it cannot work.
        CaesarUnsupportedError: it cannot work here.
    """
    if sent.get("type") == "sqs" and not queues:
        raise CaesarUnsupportedError(
            "The sqs reducer writes into a queue of Amazon's, for which this site has no key.",
            hint="Its operator sets ESOCS_SQS_ACCESS_KEY_ID; or use external, which is sent the same by HTTPS.",
        )
    kind = _one_of("type", sent.get("type"), REDUCER_TYPES)
    config = _config(
        sent, {"key", "type", "topic", "reduction_mode", "filters", "grouping", "id", "workflow_id", "reducible"}
    )
    mode = _one_of("reduction_mode", sent.get("reduction_mode") or MODES[0], MODES)
    if kind in CALLED:
        read_target(config.get("url" if kind == "external" else "queue_url"), allowed=allowed)
        if mode == "running_reduction":
            raise CaesarUnsupportedError(
                "An external reducer with running_reduction is sent each extract once, and keeps what it made of them.",
                hint="Use default_reduction: it is sent all of the subject's extracts each time.",
            )
    if kind == "unique_count" and not (isinstance(config.get("field"), str) and config["field"]):
        raise CaesarConfigurationError("unique_count needs a `field`: whose values it counts.")
    if kind == "summary_stats":
        config |= _read_statistics(config)
    if kind == "rectangle":
        config |= _read_clustering(config)
    filters, grouping = (_object(name, sent.get(name)) for name in ("filters", "grouping"))
    read_filters(filters)
    read_grouping(grouping)
    key = _key(sent.get("key"))
    if key in RESERVED_KEYS:
        raise CaesarConfigurationError(
            f"A rule looks the subject's metadata up as {key!r}.", hint="Choose another key."
        )
    return {
        "key": key,
        "type": kind,
        "topic": _one_of("topic", sent.get("topic") or TOPICS[0], TOPICS),
        "reduction_mode": mode,
        "filters": dict(filters),
        "grouping": dict(grouping),
        "config": config,
    }


def _read_statistics(config: Sent) -> dict[str, Any]:
    name = config.get("summarize_field")
    if not isinstance(name, str) or not name or name.startswith(".") or name.endswith("."):
        raise CaesarConfigurationError("summary_stats needs a `summarize_field`: `field` or `extractor.field`.")
    asked = config.get("operations")
    operations = [asked] if isinstance(asked, str) else asked
    if not isinstance(operations, list) or not operations or len(operations) > len(STATISTICS):
        raise CaesarConfigurationError(f"`operations` are some of {', '.join(STATISTICS)}.")
    return {"operations": list(dict.fromkeys(_one_of("operations", each, tuple(STATISTICS)) for each in operations))}


def _read_clustering(config: Sent) -> dict[str, Any]:
    eps, least = config.get("eps", 5.0), config.get("min_samples", 3)
    if not _is_number(eps) or not 0 < eps < 1e6:
        raise CaesarConfigurationError("`eps` is a distance in pixels, above 0.")
    if not isinstance(least, int) or isinstance(least, bool) or not 1 <= least <= 10_000:
        raise CaesarConfigurationError("`min_samples` is a whole number from 1.")
    return {"eps": float(eps), "min_samples": least}


def read_filters(sent: Sent) -> Filters:
    """A reducer's filters.

    Raises:
        CaesarConfigurationError: they cannot be followed.
    """
    known = {"from", "to", "extractor_keys", "repeated_classifications", "training_behavior", "empty_extracts"}
    if set(sent) - known:
        raise CaesarConfigurationError(f"There is no filter {_shown(min(set(sent) - known))}.", hint=", ".join(known))
    keys = sent.get("extractor_keys") or []
    keys = [keys] if isinstance(keys, str) else keys
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CaesarConfigurationError("`extractor_keys` is a list of extractors' keys.")
    return Filters(
        first=_index("from", sent.get("from"), 0),
        last=_index("to", sent.get("to"), -1),
        extractor_keys=frozenset(keys),
        repeated=_one_of(
            "repeated_classifications", sent.get("repeated_classifications") or of.REPEATED[0], of.REPEATED
        ),
        training=_one_of("training_behavior", sent.get("training_behavior") or of.TRAINING[0], of.TRAINING),
        empty=_one_of("empty_extracts", sent.get("empty_extracts") or of.EMPTY[0], of.EMPTY),
    )


def read_grouping(sent: Sent) -> Grouping | None:
    """A reducer's second grouping, None without one.

    Raises:
        CaesarConfigurationError: it cannot be followed.
    """
    if not sent:
        return None
    name = sent.get("field_name")
    if not isinstance(name, str) or not all(name.partition(".")[::2]):
        raise CaesarConfigurationError('`grouping` is {"field_name": "extractor_key.field", "if_missing": "ignore"}.')
    strict = _one_of("if_missing", sent.get("if_missing") or "ignore", ("ignore", "error")) == "error"
    extractor_key, _, field_name = name.partition(".")
    return Grouping(extractor_key=extractor_key, field_name=field_name, strict=strict)


def read_condition(sent: Sent) -> list[Any]:
    """A rule's condition: JSON lists in `condition`, or their text in `condition_string`.

    Raises:
        InvalidRuleError: it cannot be read.
    """
    condition = sent.get("condition_string", sent.get("condition"))
    if isinstance(condition, str):
        try:
            condition = json.loads(condition)
        except (ValueError, RecursionError):
            raise InvalidRuleError("The condition is not JSON.", hint='Write ["gte", ["lookup", …], …].') from None
    check(condition)
    made: list[Any] = condition
    return made


def read_effect(sent: Sent, *, actions: Collection[str], allowed: Collection[str] = ()) -> tuple[str, dict[str, Any]]:
    """What an effect does, and its checked configuration; ids in it are not looked up here.

    Raises:
        CaesarConfigurationError, AddressRefusedError: it cannot work.
    """
    action = sent.get("action")
    action = _one_of("action", ALIASES.get(action, action) if isinstance(action, str) else action, actions)
    config = _object("config", sent.get("config"))
    if action == "retire_subject":
        reason = config.get("reason") or ""
        reason = RENAMED_REASONS.get(reason, reason) if isinstance(reason, str) else reason
        return action, {"reason": _one_of("reason", reason, RETIREMENT_REASONS)}
    if action.startswith("external"):
        return action, _read_external(config, action, allowed)
    name = {"add_subject_to_set": "subject_set_id", "promote_user": "workflow_id"}.get(action, "collection_id")
    return action, {name: _id(name, config.get(name))}


def _read_external(config: Sent, action: str, allowed: Collection[str]) -> dict[str, Any]:
    read_target(config.get("url"), allowed=allowed)
    needed = ["reducer_key", *(["username", "password"] if action.endswith("basic_auth") else [])]
    for name in needed:
        value = config.get(name)
        if not isinstance(value, str) or not value or len(value) > 200 or not value.isprintable():
            raise CaesarConfigurationError(f"{action} needs a `{name}`.")
    if ":" in config.get("username", "") and "username" in needed:
        raise CaesarConfigurationError("`username` may hold no colon.")  # RFC 7617
    return {name: config[name] for name in ("url", *needed)}


def extractor_of(columns: Sent) -> Extractor:
    """What checked columns mean."""
    return Extractor(
        key=columns["key"],
        type=columns["type"],
        task_key=columns["task_key"],
        if_missing=columns["if_missing"],
        minimum_version=read_version(columns["minimum_workflow_version"]),
        config=columns["config"],
    )


def reducer_of(columns: Sent) -> Reducer:
    """What checked columns mean."""
    return Reducer(
        key=columns["key"],
        type=columns["type"],
        filters=read_filters(columns["filters"]),
        grouping=read_grouping(columns["grouping"]),
        config=columns["config"],
    )


def _config(sent: Sent, columns: Collection[str]) -> dict[str, Any]:
    """What the type needs, whether it stands under `config` or beside it."""
    inner = _object("config", sent.get("config"))
    config = {**inner, **{name: value for name, value in sent.items() if name not in {*columns, "config"}}}
    if len(json.dumps(config)) > LARGEST_CONFIG:
        raise CaesarConfigurationError(f"`config` is more than {LARGEST_CONFIG:,} bytes of JSON.")
    return config


def _object(name: str, value: Any) -> Sent:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise CaesarConfigurationError(f"`{name}` is {_shown(value)}, which is no object.")
    return value


def _key(value: Any) -> str:
    if not isinstance(value, str) or not KEY.fullmatch(value):
        raise CaesarConfigurationError(
            f"`key` {_shown(value)} is none.", hint="At most 100 characters, without points, slashes and percent signs."
        )
    return value


def _one_of(name: str, value: Any, choices: Collection[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise CaesarConfigurationError(f"`{name}` is {_shown(value)}.", hint=f"Use one of {', '.join(choices)}.")
    return value


def _index(name: str, value: Any, default: int) -> int:
    if value is None or value == "":
        return default
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, (bool, float)) or abs(number) > 1 << 31:
        raise CaesarConfigurationError(f"`{name}` is {_shown(value)}, which is no index.")
    return number


def _id(name: str, value: Any) -> int:
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise CaesarConfigurationError(f"`{name}` is {_shown(value)}, which is no id.")
    return int(text)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]
