"""Header facts: ObsCore-like values from ESO's and everyone's keywords, and the cards worth keeping."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Sequence

from classifier.fits.cards import CardValue, Header
from classifier.fits.content import HeaderFacts

MAX_CARDS = 160
_MJD_OF_UNIX_EPOCH = 40587.0
_SEXAGESIMAL = re.compile(r"\s*([+-]?)(\d{1,3})[:\s]+(\d{1,2})[:\s]+(\d{1,2}(?:\.\d*)?)\s*")

# The standard keywords worth keeping beside the typed facts.
_KEPT = frozenset(
    """
    ORIGIN TELESCOP INSTRUME OBJECT RA DEC EQUINOX RADESYS RADECSYS EXPTIME TEXPTIME MJD-OBS MJD-END
    DATE-OBS DATE TIMESYS FILTER FILTER1 FILTER2 DISPELEM SPECSYS OBSTECH FLUXCAL PROCSOFT PRODCATG
    REFERENC PROG_ID OBID1 NCOMBINE M_EPOCH SINGLEXP EXT_OBJ WAVELMIN WAVELMAX SPEC_BIN SPEC_RES SNR
    FLUXERR CONTNORM TOT_FLUX PHOTZP PHOTSYS PSF_FWHM ELLIPTIC ABMAGLIM ABMAGSAT GAIN DETRON EFFRON
    SATURATE BUNIT AIRMASS ARCFILE ORIGFILE P3ORIG VOCLASS VOPUB TITLE APERTURE TELAPSE TMID SPEC_VAL
    SPEC_BW NELEM CTYPE1 CTYPE2 CUNIT1 CRVAL1 CRVAL2 CRPIX1 CRPIX2 CDELT1 CDELT2 CD1_1 CD1_2 CD2_1 CD2_2
    PI-COI OBSERVER HDRVER
    """.split()  # noqa: SIM905 - a hundred quoted words would hide the list
)
_KEPT_ESO = re.compile(
    rb"HIERARCH (ESO (?:DP |OBS (?:PROG|NAME|ID|TARG|START|TPLNO)|TPL (?:ID|NAME)|DPR |QC "
    rb"|PRO (?:CATG|TECH|TYPE|REC1 ID)|INS (?:MODE|(?:FILT|GRAT|GRIS|SLIT)[0-9]* (?:NAME|ID|WLEN|WID))"
    rb"|TEL (?:AMBI (?:FWHM|PRES|RHUM|TEMP|WINDSP)|AIRM|IA FWHM|ALT|AZ|MOON)|DET (?:READ MODE|WIN1 DIT1|N?DIT)"
    rb"|DRS (?:BERV|CCF (?:RVC|FWHM)|SPE EXT SN5[0-9]))[^=]{0,48}?) *="
)


def gather_facts(headers: Sequence[Header]) -> HeaderFacts:
    """Typed facts and chosen cards.

    Args:
        headers: The primary header, then the science extension's; the first that knows a fact gives it.
    """
    number = _Numbers(headers)
    date_obs = _text(headers, "DATE-OBS", "DATE_OBS")
    minimum, maximum = number.first("WAVELMIN"), number.first("WAVELMAX")
    return HeaderFacts(
        dp_id=_dp_id(headers),
        object=_text(headers, "OBJECT", "ESO OBS TARG NAME"),
        instrument=_text(headers, "INSTRUME"),
        telescope=_text(headers, "TELESCOP"),
        ra_deg=_angle(headers, ("RA", "ESO TEL TARG ALPHA", "RA_TARG"), hours=True),
        dec_deg=_angle(headers, ("DEC", "ESO TEL TARG DELTA", "DEC_TARG"), hours=False),
        exposure_time_s=number.within("EXPTIME", "EXPOSURE", "TEXPTIME", "ITIME", low=0.0, high=1e9),
        date_obs=date_obs,
        mjd_obs=number.within("MJD-OBS", "MJD_OBS", low=1.0, high=1e6) or _mjd(date_obs),
        proposal_id=_text(headers, "PROG_ID", "ESO OBS PROG ID"),
        filter=_text(headers, "FILTER", "FILTER1", "ESO INS FILT1 NAME", "ESO INS FILT NAME", "BAND"),
        snr=number.within("SNR", low=-1e6, high=1e9),
        seeing_arcsec=number.within(
            "PSF_FWHM",
            "ESO TEL IA FWHM",
            "ESO TEL AMBI FWHM START",
            "ESO TEL AMBI FWHM",
            "SEEING",
            low=1e-3,
            high=60.0,
        ),
        product_category=_text(headers, "PRODCATG", "ESO PRO CATG"),
        wavelength_min_nm=minimum,
        wavelength_max_nm=maximum,
        cards=_chosen_cards(headers),
    )


class _Numbers:
    def __init__(self, headers: Sequence[Header]) -> None:
        self._headers = headers

    def first(self, *names: str) -> float | None:
        for name in names:
            for header in self._headers:
                if (value := header.number(name)) is not None:
                    return value
        return None

    def within(self, *names: str, low: float, high: float) -> float | None:
        for name in names:
            if (value := self.first(name)) is not None and low <= value <= high:
                return value
        return None


def _text(headers: Sequence[Header], *names: str) -> str | None:
    for name in names:
        for header in headers:
            if (value := header.text(name)) is not None:
                return value
    return None


def _dp_id(headers: Sequence[Header]) -> str | None:
    """ESO's identifier of a product is its archive file name without the extension."""
    name = _text(headers, "ARCFILE", "ESO DP ID", "DP.ID", "DP_ID")
    if name is None:
        return None
    for suffix in (".gz", ".Z", ".fz", ".fits"):
        name = name.removesuffix(suffix)
    return name or None


def _angle(headers: Sequence[Header], names: Sequence[str], *, hours: bool) -> float | None:
    """Degrees from a number or sexagesimal text; right ascension in text is in hours."""
    for name in names:
        for header in headers:
            value = header.number(name)
            if value is None and isinstance(text := header.get(name), str):
                value = _sexagesimal(text, hours=hours)
            if value is not None and name.startswith("ESO TEL TARG"):
                value = _packed_angle(value, hours=hours)
            low, high = (0.0, 360.0) if hours else (-90.0, 90.0)
            if value is not None and low <= value <= high:
                return value
    return None


def _sexagesimal(text: str, *, hours: bool) -> float | None:
    found = _SEXAGESIMAL.fullmatch(text)
    if found is None:
        return None
    sign, whole, minutes, seconds = found.groups()
    value = int(whole) + int(minutes) / 60 + float(seconds) / 3600
    return (-value if sign == "-" else value) * (15 if hours else 1)


def _packed_angle(value: float, *, hours: bool) -> float:
    """ESO TEL TARG ALPHA and DELTA are packed as HHMMSS.SSS and DDMMSS.SSS (ESO-044156, section 4)."""
    size = abs(value)
    whole, rest = divmod(size, 10000)
    minutes, seconds = divmod(rest, 100)
    angle = (whole + minutes / 60 + seconds / 3600) * (15 if hours else 1)
    return -angle if value < 0 else angle


def _mjd(date_obs: str | None) -> float | None:
    if date_obs is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(date_obs)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return _MJD_OF_UNIX_EPOCH + moment.timestamp() / 86400


def _chosen_cards(headers: Sequence[Header]) -> dict[str, CardValue]:
    chosen: dict[str, CardValue] = {}
    for header in headers:
        standard = ((name, header.get(name)) for name in header.standard_names() if name in _KEPT)
        for name, value in itertools.chain(standard, header.eso_values(_KEPT_ESO)):
            if len(chosen) >= MAX_CARDS:
                return chosen
            # PostgreSQL's jsonb and JavaScript hold no larger integers exactly.
            if value is None or name in chosen or (isinstance(value, int) and abs(value) >= 1 << 53):
                continue
            chosen[name] = value
    return chosen
