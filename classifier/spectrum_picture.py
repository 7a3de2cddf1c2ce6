"""A spectrum as a picture: flux over wavelength, error band, legible axes, on a card of its own colour."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from classifier.fits.content import DisplaySpectrum

# One dark card reads well on a light page and on a dark one; text and line contrast at least 4.5 : 1 (WCAG).
_CARD = (16, 22, 32)
_GRID = (38, 48, 64)
_AXIS = (170, 182, 198)
_LINE = (255, 196, 92)
_BAND = (92, 72, 40)

_OVERSAMPLING = 2
_MARGINS = (64, 30, 16, 46)  # left, top, right, bottom, at 848 px width


def render_spectrum(spectrum: DisplaySpectrum, *, width_px: int = 848, height_px: int = 424) -> bytes:
    """A PNG of a spectrum.

    The flux axis follows the values, but at most a few times their robust range (0.5th to 99.5th percentile),
    so that one spike does not flatten the rest; what lies outside is cut at the frame.

    Args:
        spectrum: To draw; at least one flux is finite.
        width_px: Of the picture.
        height_px: Of the picture.
    """
    picture = _Picture(spectrum, width_px=width_px, height_px=height_px)
    picture.draw_grid()
    picture.draw_band()
    picture.draw_line()
    picture.draw_labels()
    return picture.encode()


def tick_positions(low: float, high: float, *, about: int) -> list[float]:
    """Round numbers within a range, steps of 1, 2, 2.5 or 5 times a power of ten.

    Args:
        low: Start of the range.
        high: End of the range, > low.
        about: How many ticks are wanted, roughly.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return []
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


class _Picture:
    def __init__(self, spectrum: DisplaySpectrum, *, width_px: int, height_px: int) -> None:
        self._spectrum = spectrum
        self._size = (width_px, height_px)
        self._scale = _OVERSAMPLING * width_px / 848
        self._image = Image.new("RGB", (width_px * _OVERSAMPLING, height_px * _OVERSAMPLING), _CARD)
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(size=13 * self._scale)
        left, top, right, bottom = (margin * self._scale for margin in _MARGINS)
        self._left, self._top = left, top
        self._right = self._image.width - right
        self._bottom = self._image.height - bottom
        self._wave = _padded(spectrum.wavelength_min_nm, spectrum.wavelength_max_nm, share=0.0)
        self._unit = self._flux_power()
        self._wavelength_nm, self._value, self._error = self._columns()
        self._flux = self._flux_range()

    def _columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
        """One mean a column of the picture: more points would draw the noise, not the spectrum."""
        flux = self._spectrum.flux.astype(np.float64) / self._unit
        error = self._spectrum.error
        spread = None if error is None else error.astype(np.float64) / self._unit
        step = -(-flux.size // int((self._right - self._left) / _OVERSAMPLING))
        first = np.arange(0, flux.size, step)
        finite = np.isfinite(flux)
        count = np.add.reduceat(finite, first, dtype=np.int64)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.add.reduceat(np.where(finite, flux, 0.0), first) / count
            if spread is not None:
                spread = np.sqrt(np.add.reduceat(np.where(finite, spread, 0.0) ** 2, first)) / count
        places = np.diff(np.append(first, flux.size))
        return np.add.reduceat(self._spectrum.wavelength_nm, first) / places, value, spread

    def _flux_power(self) -> float:
        """The power of ten that brings the fluxes to readable numbers."""
        size = np.abs(self._spectrum.flux.astype(np.float64))
        top = float(np.quantile(size[np.isfinite(size)], 0.995))
        exponent = math.floor(math.log10(top)) if top > 0.0 else 0
        return 10.0**exponent if exponent < -2 or exponent > 3 else 1.0

    def _flux_range(self) -> tuple[float, float]:
        finite = self._value[np.isfinite(self._value)]
        low, high = np.quantile(finite, [0.005, 0.995])
        # Emission lines fill few columns and are what a volunteer looks for; a cosmic ray may still be cut.
        low, high = max(finite.min(), low - (high - low)), min(finite.max(), high + 2.5 * (high - low))
        # Zero belongs into the picture where it is near: absorption depth is read against it.
        if 0.0 < low < 0.5 * high:
            low = 0.0
        return _padded(float(low), float(high), share=0.08)

    def _x(self, wavelength_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = self._wave
        return self._left + (wavelength_nm - low) / (high - low) * (self._right - self._left)

    def _y(self, flux: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = self._flux
        share = np.clip((flux - low) / (high - low), 0.0, 1.0)
        return self._bottom - share * (self._bottom - self._top)

    def draw_grid(self) -> None:
        line_px = max(1, round(self._scale))
        for tick in tick_positions(*self._wave, about=8):
            x = float(self._x(np.array(tick)))
            self._draw.line([(x, self._top), (x, self._bottom)], fill=_GRID, width=line_px)
            self._text(x, self._bottom + 5 * self._scale, f"{tick:g}", anchor="ma")
        for tick in tick_positions(*self._flux, about=5):
            y = float(self._y(np.array(tick)))
            self._draw.line([(self._left, y), (self._right, y)], fill=_GRID, width=line_px)
            self._text(self._left - 6 * self._scale, y, f"{round(tick, 10):g}", anchor="rm")

    def draw_band(self) -> None:
        if self._error is None:
            return
        x = self._x(self._wavelength_nm)
        for run in _finite_runs(self._value, self._error):
            upper = np.column_stack([x, self._y(self._value + self._error)])[run]
            lower = np.column_stack([x, self._y(self._value - self._error)])[run][::-1]
            self._draw.polygon([(px, py) for px, py in np.concatenate([upper, lower])], fill=_BAND)

    def draw_line(self) -> None:
        points = np.column_stack([self._x(self._wavelength_nm), self._y(self._value)])
        width = max(1, round(1.6 * self._scale))
        for run in _finite_runs(self._value):
            self._draw.line([(px, py) for px, py in points[run]], fill=_LINE, width=width, joint="curve")

    def draw_labels(self) -> None:
        frame = [(self._left, self._top), (self._right, self._bottom)]
        self._draw.rectangle(frame, outline=_AXIS, width=max(1, round(self._scale)))
        middle = (self._left + self._right) / 2
        self._text(middle, self._image.height - 6 * self._scale, "wavelength in vacuum / nm", anchor="ms")
        unit = self._spectrum.flux_unit[:48]
        power = "" if self._unit == 1.0 else f"1e{round(math.log10(self._unit))} "
        label = f"flux / {power}{unit}".rstrip(" /")
        self._text(self._left, self._top - 9 * self._scale, label, anchor="ls")

    def encode(self) -> bytes:
        output = io.BytesIO()
        picture = self._image.resize(self._size, Image.Resampling.BOX)
        picture.quantize(colors=64, method=Image.Quantize.FASTOCTREE).save(output, "PNG", optimize=False)
        return output.getvalue()

    def _text(self, x: float, y: float, text: str, *, anchor: str) -> None:
        self._draw.text((x, y), text, fill=_AXIS, font=self._font, anchor=anchor)


def _padded(low: float, high: float, *, share: float) -> tuple[float, float]:
    span = high - low
    if span <= 0.0:
        span = abs(high) or 1.0
        return low - span / 2, high + span / 2
    return low - share * span, high + share * span


def _finite_runs(*rows: NDArray[np.float64]) -> list[slice]:
    """Stretches of at least two neighbours in which every row is finite."""
    finite = np.logical_and.reduce([np.isfinite(row) for row in rows])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], finite, [False])).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2) if stop - start >= 2]
