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
from tests.benchmarks.fits_samples import write_images
from tests.benchmarks.report import Timer, parse_arguments, print_result, print_table

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


def _render(contents: Iterable[FitsContent]) -> tuple[int, int]:
    count = jpeg_bytes = 0
    planes = (image.plane for content in contents for image in content.images)
    while batch := list(itertools.islice(planes, BATCH)):
        pictures = render_planes(np.stack(batch))
        count += len(pictures)
        jpeg_bytes += sum(map(len, pictures))
    return count, jpeg_bytes


if __name__ == "__main__":
    main()
