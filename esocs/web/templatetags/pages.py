"""Filters for numbers as the pages write them."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def percent(value: float | None) -> str:
    """0.1234 as `12.3`; the bars' widths and the tables' percents."""
    return "" if value is None else f"{100 * value:.1f}"


@register.filter
def percent_short(value: float | None) -> str:
    """0.95 as `95`: for percents that people have chosen themselves."""
    return "" if value is None else f"{100 * value:g}"


@register.filter
def probability(value: float | None) -> str:
    """A probability with three decimals. One that only rounds to 1 says so: `> 0.999`."""
    if value is None:
        return "–"
    if 0.9995 <= value < 1:
        return "> 0.999"
    return f"{value:.3f}"


@register.filter
def chance(value: float | None) -> str:
    """The probability of something by chance: `0.23`, or `< 0.001`."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


@register.filter
def thousands(value: int | None) -> str:
    """12345 as `12,345`."""
    return "–" if value is None else f"{value:,}"


@register.filter
def bytes_si(value: int | None) -> str:
    """A file's size in the units of a file listing."""
    if value is None:
        return "–"
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
