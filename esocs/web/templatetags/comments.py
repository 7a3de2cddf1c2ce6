"""How a comment is shown: escaped, with its tags and addresses as links that promise nothing to search engines."""

from __future__ import annotations

from urllib.parse import quote

from django import template
from django.urls import reverse
from django.utils.html import format_html, urlize
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import normalize_newlines

from esocs.community.rules import split_tags

register = template.Library()


@register.filter
def comment_text(body: str, slug: str) -> SafeString:
    """A comment as HTML paragraphs. Nothing that somebody wrote becomes a tag of HTML or an address to run."""
    talk = reverse("web:talk", args=[slug])
    pieces = [
        format_html('<a href="{}?tag={}">{}</a>', talk, quote(piece.tag), piece.text)
        if piece.tag
        else urlize(piece.text, nofollow=True, autoescape=True)
        for piece in split_tags(normalize_newlines(body))
    ]
    paragraphs = "".join(pieces).split("\n\n")
    html = "".join(f"<p>{paragraph.replace(chr(10), '<br>')}</p>" for paragraph in paragraphs if paragraph.strip())
    return mark_safe(html)  # noqa: S308 - urlize and format_html have escaped every piece
