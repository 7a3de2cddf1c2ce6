"""The dozen ways in which a file is refused. The codes are stable: they stand in rejected products' rows."""

from __future__ import annotations

from classifier.errors import EsocsError


class FitsError(EsocsError):
    """A file that cannot become subjects; the reason is shown to the operator, the batch goes on."""

    code = "unreadable"
    status = 422


class EmptyFileError(FitsError):
    """The file has no bytes."""

    code = "empty_file"


class HtmlInsteadOfFitsError(FitsError):
    """A web page or an XML answer under a FITS name, as an expired archive session sends it."""

    code = "html_instead_of_fits"


class NotFitsError(FitsError):
    """The file does not begin as the FITS standard demands."""

    code = "not_fits"


class TruncatedError(FitsError):
    """The file ends before what its headers announce."""

    code = "truncated"


class ImplausibleSizeError(FitsError):
    """A header announces axes or sizes that no file can hold, or more than the limits allow."""

    code = "implausible_size"


class DecompressionBombError(FitsError):
    """A compressed file or tile expands beyond the limits."""

    code = "decompression_bomb"


class NoScienceDataError(FitsError):
    """Valid FITS without an image or a spectrum that could be shown."""

    code = "no_science_data"


class NoFinitePixelsError(FitsError):
    """Every value is NaN, infinite or blank."""

    code = "no_finite_pixels"


class NoFluxColumnError(FitsError):
    """A table in which neither utypes nor names tell a flux over wavelength."""

    code = "no_flux_column"


class UnreadableError(FitsError):
    """The headers or the data are damaged."""

    code = "unreadable"


class TimedOutError(FitsError):
    """Reading took more processor or wall time than the limits allow."""

    code = "timed_out"


class TooMuchMemoryError(FitsError):
    """Reading needed more memory than the limits allow."""

    code = "too_much_memory"


FITS_ERRORS: dict[str, type[FitsError]] = {
    error.code: error
    for error in (
        EmptyFileError,
        HtmlInsteadOfFitsError,
        NotFitsError,
        TruncatedError,
        ImplausibleSizeError,
        DecompressionBombError,
        NoScienceDataError,
        NoFinitePixelsError,
        NoFluxColumnError,
        UnreadableError,
        TimedOutError,
        TooMuchMemoryError,
    )
}
