"""The pages in other languages: complete, chosen as visitors expect, with the project's own translations."""

from __future__ import annotations

import ast
import gettext
import io
import json
import re
import string
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from esocs.accounts.models import User
from esocs.projects.models import Translation, Workflow
from scripts import messages
from tests.support import factories

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "frontend" / "templates"
SCRIPTS = ROOT / "frontend" / "src"
STYLES = sorted(SCRIPTS.rglob("*.css"))
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
PLACE = re.compile(r"%\(\w+\)s|\{\w+\}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_pages_is_translated(language: str) -> None:
    """`make messages` lists what is missing; translators write into the .po file."""
    known = messages.read_catalogue(messages.languages()[language])
    wanted = messages.list_texts()
    assert wanted.keys() - known.keys() == set(), "run `make messages`"
    assert known.keys() - wanted.keys() - {""} == set(), "run `make messages`"
    for text, message in wanted.items():
        translations = known[text].translations
        assert all(translations), f"{text!r} has no translation"
        assert known[text].plural == message.plural
        for translation in translations:
            assert set(PLACE.findall(translation)) == set(PLACE.findall(message.plural or text)), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_scripts_is_translated(language: str) -> None:
    wanted = _texts_of_scripts()
    known = _catalogue(language)
    assert wanted.keys() - known.keys() == set()
    assert known.keys() - wanted.keys() == set(), "no script says this any more"
    for text, translations in known.items():
        assert len(translations) == (2 if wanted[text] else 1), text
        for translation in translations:
            assert set(PLACE.findall(translation)) <= set(PLACE.findall(text + wanted[text])), text


def _texts_of_scripts() -> dict[str, str]:
    """What `t` and `tn` are called with: text → its plural or nothing."""
    found = {}
    literal = r'("(?:[^"\\]|\\.)*")'
    for path in SCRIPTS.rglob("*.ts"):
        if path.parent.name == "shared" and path.stem == "i18n":
            continue
        source = path.read_text(encoding="utf-8")
        calls = len(re.findall(r"(?<![\w.])tn?\(", source))
        texts = re.findall(rf"(?<![\w.])t\(\s*{literal}", source)
        pairs = re.findall(rf"(?<![\w.])tn\(\s*{literal},\s*{literal}", source)
        assert len(texts) + len(pairs) == calls, f"{path.name}: t() takes a text as it stands, so that it can be found"
        found |= {json.loads(text): "" for text in texts} | {json.loads(one): json.loads(many) for one, many in pairs}
    return found


def _catalogue(language: str) -> dict[str, list[str]]:
    """A language's texts for the scripts, read from its TypeScript."""
    found: dict[str, list[str]] = {}
    for path in (SCRIPTS / "languages" / language).glob("*.ts"):
        body = path.read_text(encoding="utf-8").partition("Catalogue = ")[2].rstrip().rstrip(";")
        # Names as keys have no quotes in TypeScript; what is left is a Python literal too.
        quoted = re.sub(r"(?m)^  ([A-Za-z]\w*):", r'  "\1":', body)
        for text, translation in ast.literal_eval(quoted).items():
            assert text not in found, f"{text!r} stands in two files"
            found[text] = translation if isinstance(translation, list) else [translation]
    return found


def test_compiled_catalogues_read_as_gettext_reads_them() -> None:
    path = messages.languages()["de"]
    read = gettext.GNUTranslations(io.BytesIO(messages.compile_catalogue(messages.read_catalogue(path))))
    assert read.gettext("Log in") == "Anmelden"
    assert read.ngettext("%(n)s subject", "%(n)s subjects", 1) == "%(n)s Objekt"
    assert read.ngettext("%(n)s subject", "%(n)s subjects", 2) == "%(n)s Objekte"
    compiled = path.with_suffix(".mo")
    assert compiled.exists(), "`make setup` compiles it"
    assert compiled.read_bytes() == messages.compile_catalogue(messages.read_catalogue(path)), "run `make setup`"


def test_a_catalogue_is_written_as_it_was_read(tmp_path: Path) -> None:
    odd = messages.Message('A "quoted" text\nof two lines\n', "many \\ of them", ["eins\n", 'zwei "2"'], {"a.html"})
    header = messages.Message("", translations=["Language: xx\nContent-Type: text/plain; charset=UTF-8\n"])
    path = tmp_path / "django.po"
    messages.write_catalogue(path, [odd, header])
    read = messages.read_catalogue(path)
    assert list(read) == ["", odd.text]
    assert read[odd.text].plural == odd.plural
    assert read[odd.text].translations == odd.translations
    path.write_text('msgid "a"\nmsgstr broken\n', encoding="utf-8")
    with pytest.raises(messages.CatalogueError, match=r"django\.po:2"):
        messages.read_catalogue(path)


def test_every_page_speaks_the_visitors_language_or_says_that_it_is_english() -> None:
    for path in sorted(TEMPLATES.rglob("*.html")):
        source = path.read_text(encoding="utf-8")
        if "{% extends" not in source:
            continue
        translated = "{% load i18n" in source or " i18n" in source.partition("%}\n{% load")[2].partition("%}")[0]
        in_english = 'lang="en" dir="ltr"' in source
        assert translated or in_english, f"{path.name} neither translates its texts nor says that they are English"
        if translated and not in_english:
            assert _untranslated(source) == [], path.name


def _untranslated(source: str) -> list[str]:
    """Words between tags or in labels that no tag translates."""
    source = re.sub(r"{% block body_class %}.*?{% endblock %}", "", source)
    without = re.sub(r"{% blocktranslate.*?{% endblocktranslate %}", "", source, flags=re.DOTALL)
    without = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", without, flags=re.DOTALL)
    labels = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', without)
    shown = re.sub(r"<[^>]*>", "\n", without).split("\n")
    words = [text.strip(string.whitespace + string.punctuation + "·…–") for text in [*labels, *shown]]
    return [word for word in words if re.search(r"[A-Za-z]{2}", word) and word not in {"esocs", "UTC"}]


def test_styles_know_no_left_and_right() -> None:
    """Only beginnings and ends, so that a page reads from right to left by its `dir` alone."""
    sided = re.compile(
        r"^\s*(?:(?:margin|padding|border)-(?:left|right)[\w-]*|left|right|float|clear|text-align)\s*:(?P<value>[^;]*)"
    )
    found = []
    for path in STYLES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = sided.match(line)
            if match and not re.match(r"\s*(inline-(start|end)|start|end|center|justify|none|both)\b", match["value"]):
                found.append(f"{path.name}:{number}: {line.strip()}")
    assert found == []


@pytest.mark.django_db
def test_the_language_is_what_the_browser_asks_for_until_the_visitor_chooses(client: Client) -> None:
    home = client.get("/", headers={"accept-language": "de-AT,de;q=0.9,en;q=0.5"})
    assert home.headers["Content-Language"] == "de"
    assert "Accept-Language" in home.headers["Vary"]
    assert '<html lang="de" dir="ltr"' in home.content.decode()
    assert "Eine Maschine sortiert das Archiv." in home.content.decode()
    assert re.search(r'<script type="module" [^>]*src="/static/assets/language-de\.', home.content.decode())
    assert '<html lang="en"' in client.get("/", headers={"accept-language": "fr"}).content.decode()

    chosen = client.post("/language/", {"language": "de", "next": "/log-in/"})
    assert chosen.headers["Location"] == "/log-in/"
    assert "<h1>Anmelden</h1>" in client.get("/log-in/", headers={"accept-language": "en"}).content.decode()
    missing = client.get("/no-such-page/")
    assert missing.status_code == 404
    assert "Diese Seite gibt es nicht." in missing.content.decode()

    assert client.post("/language/", {"language": "xx"}).status_code == 400
    assert (
        client.post("/language/", {"language": "en", "next": "https://elsewhere.example/"}).headers["Location"] == "/"
    )
    assert client.get("/language/").status_code == 405


@pytest.mark.django_db
def test_the_api_stays_english(client: Client) -> None:
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
    answer = client.get("/api/projects/404", headers={"accept": "application/vnd.api+json; version=1"})
    assert "Content-Language" not in answer.headers
    assert "Could not find" in answer.content.decode()


@pytest.mark.django_db
def test_the_choice_is_kept_in_the_account(client: Client) -> None:
    factories.make_user("someone")
    client.post("/log-in/", {"login": "someone", "password": factories.PASSWORD})
    client.post("/language/", {"language": "de"})
    assert User.objects.get(login="someone").language == "de"
    elsewhere = Client()
    elsewhere.post("/log-in/", {"login": "someone", "password": factories.PASSWORD})
    assert "Projekte" in elsewhere.get("/").content.decode()
    newcomer = Client()
    newcomer.post("/language/", {"language": "de"})
    made = newcomer.post("/sign-up/", {"login": "neuling", "password": factories.PASSWORD})
    assert made.status_code == 302
    assert User.objects.get(login="neuling").language == "de"
    refused = Client().post(
        "/sign-up/", {"login": "neuling", "password": factories.PASSWORD}, headers={"accept-language": "de"}
    )
    assert "Dieser Name ist vergeben." in refused.content.decode()


@pytest.fixture
def workflow(db: None) -> Workflow:
    owner = factories.make_user("scientist")
    project = factories.make_project(owner=owner, display_name="Galaxy shapes")
    return factories.make_workflow(project, question="What is it?", answers=("Spiral", "Other"), display_name="Shapes")


def _page_workflow(client: Client, workflow: Workflow, language: str) -> tuple[dict[str, object], str]:
    path = f"/projects/{workflow.project.slug}/workflows/{workflow.pk}/classify/"
    html = client.get(path, headers={"accept-language": language}).content.decode()
    data = re.search(r'<script id="classify-data"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert data is not None
    return json.loads(data[1])["workflow"], html


def test_a_workflow_is_asked_in_the_pages_language_and_in_its_own_where_a_text_is_missing(
    client: Client, workflow: Workflow
) -> None:
    keys = {text: key for key, text in workflow.strings.items()}
    texts = {"display_name": "Formen", f"tasks.{keys['What is it?']}": "Was ist das?", f"tasks.{keys['Other']}": ""}
    Translation.objects.create(
        project=workflow.project, kind="workflow", resource_id=workflow.pk, language="de", strings=texts
    )
    Translation.objects.create(
        project=workflow.project,
        kind="project",
        resource_id=workflow.project.pk,
        language="de",
        strings={"title": "Galaxienformen"},
    )
    german, html = _page_workflow(client, workflow, "de")
    assert german["display_name"] == "Formen"
    assert sorted(filter(None, german["strings"].values())) == ["Other", "Spiral", "Was ist das?"]  # type: ignore[attr-defined]
    assert '<div id="task-step" lang="de" dir="ltr">' in html
    assert "Galaxienformen" in client.get("/", headers={"accept-language": "de"}).content.decode()
    english, _ = _page_workflow(client, workflow, "en")
    assert english["display_name"] == "Shapes"
    # Without a translation the page says which language the question is in.
    Translation.objects.all().delete()
    _, html = _page_workflow(client, workflow, "de")
    assert '<div id="task-step" lang="en" dir="ltr">' in html
    workflow.refresh_from_db()
    assert workflow.display_name == "Shapes", "what is shown is not what is kept"
