"""Float cut-outs to JPEGs of 424 px, beside astropy's ZScale and asinh with Pillow's PNG of the same size.

Ours begins where the peer does: at float32 pixels in the file's unit. Figures are processor seconds, best of several
rounds in which the two take turns. The colour pictures (three bands) and ours with ZScale limits stand beside.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence

import numpy as np
from astropy.visualization import AsinhStretch, ZScaleInterval
from numpy.typing import NDArray
from PIL import Image

from classifier.cutouts import measure_sky, normalise_plane
from classifier.rendering import DISPLAY_SIZE_PX, render_bands, render_planes, zscale_limits
from tests.benchmarks.report import parse_arguments, print_result, print_table

SIZE_PX = 128
ROUNDS = 5
PEER_PICTURES = 60
BATCH = 64

Pixels = NDArray[np.float32]


def main() -> None:
    """Render the same cut-outs each way."""
    arguments = parse_arguments(description=__doc__, size=500, size_help="cut-outs")
    cutouts = simulate(arguments.size)
    few = cutouts[:PEER_PICTURES]
    ways: dict[str, tuple[Callable[[Sequence[Pixels]], list[bytes]], Sequence[Pixels]]] = {
        "esocs": (render, cutouts),
        "astropy ZScale + asinh, Pillow PNG": (lambda some: [peer_picture(pixels) for pixels in some], few),
        "esocs, ZScale limits": (lambda some: render(some, zscale=True), cutouts),
        "esocs, three bands in colour": (render_colour, cutouts[: len(cutouts) // 3 * 3]),
        "astropy ZScale + asinh, Pillow JPEG": (lambda some: [peer_picture(p, "JPEG") for p in some], few),
    }
    best: dict[str, float] = {}
    size_bytes: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, (make, some) in ways.items():
            if some:
                started = time.process_time()
                pictures = make(some)
                spent_ms = 1e3 * (time.process_time() - started) / len(pictures)
                best[name] = min(spent_ms, best.get(name, spent_ms))
                size_bytes[name] = sum(map(len, pictures)) / len(pictures)
    peer_ms = best["astropy ZScale + asinh, Pillow PNG"]
    print_table(
        ("renderer", "CPU ms a picture", "peer ÷ it", "bytes"),
        [(name, value, peer_ms / value, round(size_bytes[name])) for name, value in best.items()],
    )
    print_result(
        name="rendering",
        ours=1e3 / best["esocs"],
        peer=1e3 / peer_ms,
        unit=f"pictures of {DISPLAY_SIZE_PX} px/CPU s",
        ratio_zscale=peer_ms / best["esocs, ZScale limits"],
        ratio_to_jpeg_peer=best["astropy ZScale + asinh, Pillow JPEG"] / best["esocs"],
        colour_per_cpu_s=1e3 / best["esocs, three bands in colour"] if len(cutouts) >= 3 else None,
    )


def render(cutouts: Sequence[Pixels], *, zscale: bool = False) -> list[bytes]:
    """Sky, plane, limits, stretch and JPEG, as ingest and routing do it together."""
    pictures: list[bytes] = []
    for start in range(0, len(cutouts), BATCH):
        planes = np.stack([_plane(pixels) for pixels in cutouts[start : start + BATCH]])
        pictures += render_planes(planes, limits=zscale_limits(planes) if zscale else None)
    return pictures


def render_colour(cutouts: Sequence[Pixels]) -> list[bytes]:
    """Every three cut-outs as the bands of one picture."""
    pictures: list[bytes] = []
    for start in range(0, len(cutouts), 3 * BATCH):
        planes = np.stack([_plane(pixels) for pixels in cutouts[start : start + 3 * BATCH]])
        pictures += render_bands(planes.reshape(-1, 3, SIZE_PX, SIZE_PX))
    return pictures


def peer_picture(pixels: Pixels, kind: str = "PNG") -> bytes:
    """One picture as a notebook makes it without matplotlib."""
    low, high = ZScaleInterval().get_limits(pixels)
    level = AsinhStretch()(np.clip((pixels - low) / (high - low), 0.0, 1.0))
    picture = Image.fromarray((level[::-1] * 255).astype(np.uint8))
    enlarged = picture.resize((DISPLAY_SIZE_PX, DISPLAY_SIZE_PX), Image.Resampling.BICUBIC)
    output = io.BytesIO()
    enlarged.save(output, kind)
    return output.getvalue()


def simulate(count: int) -> list[Pixels]:
    """Galaxies of many shapes on noise, in counts."""
    rng = np.random.default_rng(20261122)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] - SIZE_PX / 2
    cutouts = []
    for _ in range(count):
        angle, ratio, radius_px = rng.uniform(0, np.pi), rng.uniform(0.2, 1.0), rng.uniform(3, 12)
        along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / ratio
        galaxy = rng.uniform(50, 2000) * np.exp(-1.7 * (np.hypot(along, across) / radius_px) ** 0.7)
        cutouts.append((100.0 + rng.normal(0.0, 5.0, (SIZE_PX, SIZE_PX)) + galaxy).astype(np.float32))
    return cutouts


def _plane(pixels: Pixels) -> NDArray[np.float16]:
    background, noise = measure_sky(pixels)
    return normalise_plane(pixels, background=background, noise=noise)


if __name__ == "__main__":
    main()
