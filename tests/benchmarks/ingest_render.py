"""1,000 FITS of 128 × 128 with 150 ESO cards to JPEG, beside astropy + ZScale + matplotlib.

The figure is objects per processor second: reading in the limited child, pipes and the child's start included.
"""

from __future__ import annotations

import io
import itertools
import os
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from classifier.fits.content import CutSpec, FitsContent
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from classifier.fits.sandbox import FitsReader
from classifier.rendering import DISPLAY_SIZE_PX, render_planes
from tests.benchmarks.report import Timer, parse_arguments, print_result, print_table

SIZE_PX = 128
HIERARCH_CARDS = 150
BATCH = 64
PEER_OBJECTS = 100


def main() -> None:
    """Run the three readers on the same files and print their figures."""
    arguments = parse_arguments(description=__doc__, size=1000, size_help="FITS files")
    with tempfile.TemporaryDirectory(prefix="ingest-render-") as folder:
        if arguments.data is None:
            paths = write_images(Path(folder), count=arguments.size)
        else:
            paths = sorted(path for path in arguments.data.iterdir() if ".fits" in path.name)[: arguments.size]
        with Timer() as sandboxed:
            count, jpeg_bytes = ingest_sandboxed(paths)
        with Timer() as in_process:
            ingest_in_process(paths)
        sample = paths[:: max(1, len(paths) // PEER_OBJECTS)][:PEER_OBJECTS]
        peer_picture(sample[0])  # imports and font caches are not the peer's work
        with Timer() as peer:
            for path in sample:
                peer_picture(path)
    rates = {
        "esocs, limited child": (count, sandboxed),
        "esocs, in process": (count, in_process),
        "astropy + ZScale + matplotlib": (len(sample), peer),
    }
    print_table(
        ("reader", "objects", "objects / CPU s", "objects / wall s", "CPU ms / object"),
        [
            (what, number, number / timer.cpu_s, number / timer.wall_s, 1e3 * timer.cpu_s / number)
            for what, (number, timer) in rates.items()
        ],
    )
    print(f"mean JPEG {jpeg_bytes / max(count, 1):,.0f} bytes at {DISPLAY_SIZE_PX} px")
    print_result(
        name="ingest_render",
        ours=count / sandboxed.cpu_s,
        peer=len(sample) / peer.cpu_s,
        unit="objects/CPU s",
        in_process=count / in_process.cpu_s,
        ratio_in_process=(count / in_process.cpu_s) / (len(sample) / peer.cpu_s),
        wall_objects_per_s=count / sandboxed.wall_s,
        peer_wall_objects_per_s=len(sample) / peer.wall_s,
        objects=count,
        peer_objects=len(sample),
    )


def ingest_sandboxed(paths: Sequence[Path]) -> tuple[int, int]:
    """Read by limited children, as the ingest does, and render; the number of pictures and their bytes."""
    # One processor renders while the others read.
    with FitsReader(children=max(1, (os.cpu_count() or 1) - 1)) as reader:
        contents = (answer for _, answer in reader.read_many(paths) if isinstance(answer, FitsContent))
        return _render(contents)


def ingest_in_process(paths: Sequence[Path]) -> tuple[int, int]:
    """The same without the child, to show what isolation costs."""
    limits, spec = Limits(), CutSpec()
    return _render(parse_file(path, spec=spec, limits=limits) for path in paths)


def peer_picture(path: Path) -> bytes:
    """One picture as a notebook makes it, kindly: one figure of the same size, no axes."""
    from astropy.io import fits
    from astropy.visualization import ZScaleInterval
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as hdus:
            pixels = np.asarray(next(hdu.data for hdu in hdus if hdu.data is not None), dtype=np.float32)
            hdus[0].header.get("EXPTIME")
    low, high = ZScaleInterval().get_limits(pixels)
    figure = Figure(figsize=(DISPLAY_SIZE_PX / 100, DISPLAY_SIZE_PX / 100), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(pixels, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="bicubic")
    output = io.BytesIO()
    figure.savefig(output, format="jpeg")
    return output.getvalue()


def write_images(folder: Path, *, count: int) -> list[Path]:
    """Simulated cut-outs: a Sersic-like galaxy on noise, float32, with the cards of an ESO instrument."""
    rng = np.random.default_rng(20261122)
    header = _header_cards()
    noise = rng.normal(0.0, 5.0, (SIZE_PX * 2, SIZE_PX * 2)).astype(np.float32)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] - SIZE_PX / 2
    paths = []
    for index in range(count):
        angle, axis_ratio, radius_px = rng.uniform(0, np.pi), rng.uniform(0.2, 1.0), rng.uniform(3, 12)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = (y * np.cos(angle) - x * np.sin(angle)) / axis_ratio
        galaxy = rng.uniform(50, 2000) * np.exp(-1.7 * (np.hypot(along, across) / radius_px) ** 0.7)
        row, column = rng.integers(0, SIZE_PX, 2)
        pixels = 100.0 + noise[row : row + SIZE_PX, column : column + SIZE_PX] + galaxy
        cards = [*header, _card(f"OBJECT  = 'simulated {index:06d}'"), _card("END")]
        data = pixels.astype(">f4").tobytes()
        path = folder / f"simulated_{index:06d}.fits"
        path.write_bytes(_padded(b"".join(cards), b" ") + _padded(data, b"\0"))
        paths.append(path)
    return paths


def _render(contents: Iterable[FitsContent]) -> tuple[int, int]:
    count = jpeg_bytes = 0
    planes = (image.plane for content in contents for image in content.images)
    while batch := list(itertools.islice(planes, BATCH)):
        pictures = render_planes(np.stack(batch))
        count += len(pictures)
        jpeg_bytes += sum(map(len, pictures))
    return count, jpeg_bytes


def _header_cards() -> list[bytes]:
    cards = [
        "SIMPLE  =                    T / conforms to the FITS standard",
        "BITPIX  =                  -32 / array data type",
        "NAXIS   =                    2 / number of array dimensions",
        f"NAXIS1  = {SIZE_PX:20d}",
        f"NAXIS2  = {SIZE_PX:20d}",
        "INSTRUME= 'OMEGACAM'           / instrument",
        "TELESCOP= 'ESO-VST '           / telescope",
        "EXPTIME =                300.0 / [s] exposure",
        "RA      =           150.116321 / [deg]",
        "DEC     =             2.205831 / [deg]",
        "MJD-OBS =       59000.12345678 / [d] start",
        "CTYPE1  = 'RA---TAN'",
        "CTYPE2  = 'DEC--TAN'",
        "CRVAL1  =           150.116321",
        "CRVAL2  =             2.205831",
        "CRPIX1  =                 64.5",
        "CRPIX2  =                 64.5",
        "CD1_1   =   -5.9444444444E-05",
        "CD1_2   =                  0.0",
        "CD2_1   =                  0.0",
        "CD2_2   =    5.9444444444E-05",
    ]
    systems = ("DET CHIP", "INS FILT", "TEL AMBI", "OBS TARG", "TPL STEP")
    cards += [
        f"HIERARCH ESO {systems[k % 5]}{k // 5} VALUE = {k * 1.25:.6f} / [unit] telemetry {k}"
        for k in range(HIERARCH_CARDS)
    ]
    return [_card(card) for card in cards]


def _card(text: str) -> bytes:
    return text.encode().ljust(80)[:80]


def _padded(block: bytes, filler: bytes) -> bytes:
    return block + filler * (-len(block) % 2880)


if __name__ == "__main__":
    main()
