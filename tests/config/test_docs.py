"""The documents against the code: links, commands, options, paths, Python examples and environment variables."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")] + [*ROOT.glob("docs/**/*.md")]
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
SOURCES = sorted([*ROOT.glob("esocs/**/*.py"), *ROOT.glob("classifier/**/*.py"), ROOT / "docker-compose.yml"])

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
OUR_FOLDERS = ("esocs/", "classifier/", "tests/", "docs/", "scripts/", "deploy/", "frontend/src/", ".ci/")

# Reads of the environment: environs in the settings, os.environ elsewhere.
READ = re.compile(
    r'(?:\benv|Env\(\))\.\w+\(\s*"([A-Z_]+)"|environ(?:\.get\(|\.setdefault\(|\[)\s*"([A-Z_]+)"|getenv\("([A-Z_]+)"'
)
# Set by the system and by programs for their own kind: pytest's version, Django's settings and its switch for tests.
NOT_OURS = {
    "DJANGO_ALLOW_ASYNC_UNSAFE",
    "DJANGO_SETTINGS_MODULE",
    "HOME",
    "OMP_NUM_THREADS",
    "PATH",
    "PYTEST_VERSION",
    "PYTEST_XDIST_WORKER",
    "TORCHINDUCTOR_CACHE_DIR",
    "XDG_RUNTIME_DIR",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(path.read_text()) if language in languages]


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """The headings as a browser of the repository addresses them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in LINK.findall(prose(path)):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), link
        if anchor:
            assert anchor in anchors(file), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_path_that_is_named_exists(path: Path) -> None:
    for code in CODE.findall(prose(path)):
        if code.startswith(OUR_FOLDERS) and not re.search(r"[\s*<…{(]", code):
            assert (ROOT / code).exists() or (path.parent / code).exists(), code


def test_every_document_that_the_code_names_exists() -> None:
    for source in SOURCES:
        for document in re.findall(r"docs/[\w/-]+\.md", source.read_text()):
            assert (ROOT / document).exists(), f"{name_of(source)} names {document}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_make_target_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    said = [command for command in _commands(path) if command.startswith("make ")]
    for command in said:
        words = [word for word in shlex.split(command, comments=True)[1:] if "=" not in word]
        assert set(words) <= targets, command


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_management_command_and_option_exists(path: Path) -> None:
    for command in _commands(path):
        _, found, rest = command.partition("manage.py ")
        if found and re.match(r"[a-z_]+\b", rest):
            _check_management_command(rest)


def test_the_readmes_table_of_commands_is_right() -> None:
    table = (ROOT / "README.md").read_text().partition("## The commands")[2].partition("\n## ")[0]
    ours = {name for name, app in get_commands().items() if app.startswith("esocs.")}
    rows = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert {row.split()[0] for row in rows} == ours
    for row in rows:
        _check_management_command(row)


def _commands(path: Path) -> Iterator[str]:
    """What a reader is told to type: the lines of shell blocks, and `make …` or `… manage.py …` in the text."""
    for block in blocks(path, "sh"):
        yield from (line for line in block.splitlines() if line and not line.startswith("#"))
    for code in CODE.findall(prose(path)):
        if re.match(r"make [a-z]", code) or "manage.py " in code:
            yield code


def _check_management_command(text: str) -> None:
    name = text.split(maxsplit=1)[0]
    assert name in get_commands(), text
    known = _options(name)
    for option in re.findall(r"(?<!\S)\[?(--[a-z-]+)", text):
        assert option in known, text


@cache
def _options(name: str) -> frozenset[str]:
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    return frozenset(option for action in parser._actions for option in action.option_strings)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_python_example_names_what_exists(path: Path) -> None:
    imported: dict[str, object] = {}
    for block in blocks(path, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                imported |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and callable(imported.get(node.func.id)):
                arguments = {keyword.arg: None for keyword in node.keywords if keyword.arg}
                inspect.signature(imported[node.func.id]).bind(*node.args, **arguments)


def test_decisions_are_numbered_without_gaps_and_say_context_decision_and_consequences() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04d}" for number in range(1, len(DECISIONS) + 1)]
    for path in DECISIONS:
        assert path.read_text().startswith(f"# {path.name[:4]}: ")
        assert re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE) == ["Context", "Decision", "Consequences"]


def documented(*sections: str) -> set[str]:
    """The variables in the tables of these sections of docs/configuration.md."""
    parts = re.split(r"^## ", (ROOT / "docs" / "configuration.md").read_text(), flags=re.MULTILINE)
    chosen = [part for part in parts if part.partition("\n")[0] in sections]
    assert len(chosen) == len(sections)
    return set(re.findall(r"^\| `([A-Z_]+)` \|", "".join(chosen), re.MULTILINE))


def read_in(*patterns: str) -> set[str]:
    """The variables that the Python files below these folders read."""
    files = [file for pattern in patterns for file in ROOT.glob(pattern)]
    assert files
    return {name for file in files for match in READ.findall(file.read_text()) for name in match if name} - NOT_OURS


def test_every_variable_that_the_site_reads_is_documented_and_no_other() -> None:
    read = read_in("esocs/**/*.py", "classifier/**/*.py", "manage.py")
    assert documented("The site and its workers", "Files") == read - {"ESOCS_TEST_DATABASE"}


def test_every_variable_that_compose_takes_is_documented_and_no_other() -> None:
    taken = re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text())
    assert documented("docker compose") == set(taken)


def test_every_variable_that_tests_and_tools_read_is_documented_and_no_other() -> None:
    scripts = "".join(script.read_text() for script in ROOT.glob("scripts/*.sh"))
    read = read_in("tests/**/*.py") | set(re.findall(r"\$\{?(ESOCS_[A-Z_]+)", scripts))
    assert documented("Tests and tools") == read | {"ESOCS_TEST_DATABASE"}


def test_the_readme_explains_the_lines_of_the_demonstrations_summary() -> None:
    table = (ROOT / "README.md").read_text().partition("## What the demonstration shows")[2].partition("\n## ")[0]
    summary = (ROOT / "esocs" / "demo" / "summary.py").read_text()
    rows = [row.rstrip("…") for row in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)]
    assert rows
    for row in rows:
        assert f'"  {row}' in summary, row
