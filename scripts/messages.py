"""The pages' texts in other languages: `update` takes them from the sources into .po files, `compile` makes .mo files.

GNU gettext is not needed, and `compile` needs nothing but Python: it is a step of `make setup`. The .po files
(`esocs/web/locale/LANGUAGE/LC_MESSAGES/django.po`) are the source of truth; .mo files are not kept in the repository.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "esocs" / "web" / "locale"
TEMPLATES = ROOT / "frontend" / "templates"
# The number of texts each function is given before its other arguments.
FUNCTIONS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "gettext_noop": 1, "ngettext": 2, "ngettext_lazy": 2}
CALL = re.compile(r"\b(_|gettext|ngettext)\(\s*(?=u?[\"'])")


@dataclass
class Message:
    """A text of the sources and its translations; with a plural, one for each of the language's forms."""

    text: str
    plural: str = ""
    translations: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)


class CatalogueError(Exception):
    """A .po file that cannot be read; names the line."""


def read_catalogue(path: Path) -> dict[str, Message]:
    """The messages of a .po file by their text; the header is the empty text's translation."""
    messages: dict[str, Message] = {}
    current: Message | None = None
    target = ""
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        keyword, _, rest = line.partition(" ")
        if line.startswith('"'):
            keyword, rest = "", line
        try:
            text = str(ast.literal_eval(rest))
        except (SyntaxError, ValueError) as error:
            raise CatalogueError(f"{path}:{number}: {line}") from error
        if keyword == "msgid":
            current = messages.setdefault(text, Message(text)) if not messages or text else Message(text)
            target = "id"
        elif current is None:
            raise CatalogueError(f"{path}:{number}: a translation before its text")
        elif keyword == "msgid_plural":
            current.plural, target = text, "plural"
        elif keyword.startswith("msgstr"):
            current.translations.append(text)
            messages[current.text] = current
            target = "translation"
        elif keyword == "":
            _continue(current, target, text, messages)
        else:
            raise CatalogueError(f"{path}:{number}: {keyword} is not known here")
    return messages


def _continue(current: Message, target: str, text: str, messages: dict[str, Message]) -> None:
    if target == "id":
        if messages.get(current.text) is current:
            del messages[current.text]
        current.text += text
    elif target == "plural":
        current.plural += text
    else:
        current.translations[-1] += text


def write_catalogue(path: Path, messages: Iterable[Message]) -> None:
    """The .po file: the header, then the texts in the order of the files that hold them."""
    lines = []
    for message in sorted(messages, key=lambda each: (each.text != "", sorted(each.places)[:1], each.text)):
        lines += [f"#: {' '.join(sorted(message.places))}"] if message.places else []
        lines.append(f"msgid {_quoted(message.text)}")
        if message.plural:
            lines.append(f"msgid_plural {_quoted(message.plural)}")
            lines += [f"msgstr[{form}] {_quoted(text)}" for form, text in enumerate(message.translations)]
        else:
            lines.append(f"msgstr {_quoted(message.translations[0])}")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    if "\n" not in escaped:
        return f'"{escaped}"'
    lines = [f'"{part}\\n"' for part in escaped.split("\n")]
    last = lines.pop()[:-3] + '"'
    return "\n".join(['""', *lines, *([] if last == '""' else [last])])


def compile_catalogue(messages: dict[str, Message]) -> bytes:
    """The .mo file as gettext reads it: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html."""
    pairs = sorted(
        (
            "\0".join(filter(None, [message.text, message.plural])).encode(),
            "\0".join(message.translations).encode(),
        )
        for message in messages.values()
        if all(message.translations)
    )
    head, entry = 28, 8
    offset = head + 2 * entry * len(pairs)
    tables: list[bytes] = []
    texts = b""
    for side in (0, 1):
        for pair in pairs:
            tables.append(struct.pack("<II", len(pair[side]), offset + len(texts)))
            texts += pair[side] + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), head, head + entry * len(pairs), 0, offset)
    return header + b"".join(tables) + texts


def list_texts() -> dict[str, Message]:
    """Every text of the templates and of the Python sources that is marked for translation."""
    found: dict[str, Message] = {}
    for place, texts in [*_texts_of_python(), *_texts_of_templates()]:
        message = found.setdefault(texts[0], Message(texts[0]))
        message.plural = message.plural or (texts[1] if len(texts) > 1 else "")
        message.places.add(place)
    return found


def _texts_of_python() -> Iterator[tuple[str, list[str]]]:
    for path in sorted((ROOT / "esocs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            texts = [a.value for a in node.args[: FUNCTIONS.get(name, 0)] if isinstance(a, ast.Constant)]
            if texts and all(isinstance(text, str) for text in texts):
                yield str(path.relative_to(ROOT)), [str(text) for text in texts]


def _texts_of_templates() -> Iterator[tuple[str, list[str]]]:
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "esocs.config.settings")
    from django.utils.translation.template import templatize

    for path in sorted(TEMPLATES.rglob("*.html")):
        # Django's own reading of a template as something like Python.
        source = templatize(path.read_text(encoding="utf-8"))
        for call in CALL.finditer(source):
            texts = [text for text in _literals(source[call.end() :]) if text is not None]
            yield str(path.relative_to(ROOT)), texts[: FUNCTIONS[call[1]]]


LITERAL = re.compile(r"""\s*u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(,|\))""", re.DOTALL)


def _literals(source: str) -> Iterator[str]:
    at = 0
    while match := LITERAL.match(source, at):
        yield str(ast.literal_eval(match[1]))
        at = match.end()
        if match[2] == ")":
            return


def languages() -> dict[str, Path]:
    """Language → its .po file."""
    return {path.parents[1].name: path for path in sorted(LOCALE.glob("*/LC_MESSAGES/django.po"))}


def update_all() -> None:
    texts = list_texts()
    for path in languages().values():
        known = read_catalogue(path)
        header = known.get("", Message("", translations=["Content-Type: text/plain; charset=UTF-8\n"]))
        messages = [header]
        for text, message in texts.items():
            old = known.get(text)
            forms = 2 if message.plural else 1
            kept = old.translations if old and old.plural == message.plural else [""] * forms
            messages.append(Message(text, message.plural, kept, message.places))
        write_catalogue(path, messages)
        missing = [message.text for message in messages if not all(message.translations)]
        print(f"{path.relative_to(ROOT)}: {len(messages) - 1} texts, {len(missing)} without translation")
        for text in missing:
            print(f"  {text}")


def compile_all() -> None:
    for path in languages().values():
        path.with_suffix(".mo").write_bytes(compile_catalogue(read_catalogue(path)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["update", "compile"])
    if parser.parse_args().command == "update":
        update_all()
    compile_all()
