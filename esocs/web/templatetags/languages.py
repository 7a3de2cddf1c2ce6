"""Tags for the page's language."""

from __future__ import annotations

from django import template
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django_vite.core.asset_loader import DjangoViteAssetLoader
from django_vite.core.exceptions import DjangoViteAssetNotFoundError

register = template.Library()


@register.simple_tag
def language_script() -> str:
    """The script with the texts of the pages' scripts; none for English, which they are written in."""
    try:
        made: str = DjangoViteAssetLoader.instance().generate_vite_asset(f"src/languages/{get_language()}.ts")
    except DjangoViteAssetNotFoundError:
        return ""
    return mark_safe(made)  # noqa: S308 - made of the manifest's own names
