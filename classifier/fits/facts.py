"""Header facts: ObsCore-like values from ESO's and everyone's keywords, and the cards worth keeping."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from classifier.fits.cards import CardValue, Choice, Header, as_number
from classifier.fits.content import CardsText, HeaderFacts

MAX_CARDS = 256
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
    rb"|TEL (?:TARG |AMBI (?:FWHM|PRES|RHUM|TEMP|WINDSP)|AIRM|IA FWHM|ALT|AZ|MOON)|DET (?:READ MODE|WIN1 DIT1|N?DIT)"
    rb"|DRS (?:BERV|CCF (?:RVC|FWHM)|SPE EXT SN5[0-9]))[^=]{0,48})="
)
_CHOICE = Choice(standard=_KEPT, eso=_KEPT_ESO)
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)


def gather_facts(headers: Sequence[Header]) -> HeaderFacts:
    """Typed facts and chosen cards.

    Args:
        headers: The primary header, then the science extension's; the first that knows a fact gives it.
    """
    for header in headers:
        header.parse_all()
    if len(headers) == 1:
        told = headers[0].recall_each("facts", _OF_ONE)
    else:
        told = [fact(headers) for fact in _FACTS.values()]
    return HeaderFacts(**dict(zip(_FACTS, told, strict=True)), cards=CardsText(_cards_worth_keeping(headers)))


def _values(headers: Sequence[Header], names: Sequence[str]) -> list[CardValue]:
    """By one name in all headers, then by the next."""
    return [value for name in names for header in headers if (value := header.get(name)) is not None]


def _text(*names: str) -> Callable[[Sequence[Header]], str | None]:
    """The first that is not empty."""

    def find(headers: Sequence[Header]) -> str | None:
        for value in _values(headers, names):
            if not isinstance(value, bool) and (text := str(value).strip()):
                return text
        return None

    return find


def _number(*names: str, low: float, high: float) -> Callable[[Sequence[Header]], float | None]:
    """The first that lies within the bounds."""

    def find(headers: Sequence[Header]) -> float | None:
        for value in _values(headers, names):
            number = as_number(value)
            if number is not None and low <= number <= high:
                return number
        return None

    return find


def _angle(*names: str, packed: str, hours: bool) -> Callable[[Sequence[Header]], float | None]:
    """Degrees from numbers, from sexagesimal text (right ascension in hours), or packed as ESO does it."""
    low, high = (0.0, 360.0) if hours else (-90.0, 90.0)
    find_packed = _number(packed, low=-1e6, high=1e6)

    def find(headers: Sequence[Header]) -> float | None:
        for value in _values(headers, names):
            angle = as_number(value)
            if angle is None and isinstance(value, str):
                angle = _sexagesimal(value, hours=hours)
            if angle is not None and low <= angle <= high:
                return angle
        number = find_packed(headers)
        angle = None if number is None else _packed_angle(number, hours=hours)
        return angle if angle is not None and low <= angle <= high else None

    return find


def _dp_id(archive_file: str | None) -> str | None:
    """ESO's identifier of a product is its archive file name without the extension."""
    if archive_file is None:
        return None
    for suffix in (".gz", ".Z", ".fz", ".fits"):
        archive_file = archive_file.removesuffix(suffix)
    return archive_file or None


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


_date_obs = _text("DATE-OBS", "DATE_OBS")
_mjd_obs = _number("MJD-OBS", "MJD_OBS", low=1.0, high=1e6)
_archive_file = _text("ARCFILE", "ESO DP ID", "DP.ID", "DP_ID")
_FACTS: dict[str, Callable[[Sequence[Header]], Any]] = {
    "dp_id": lambda headers: _dp_id(_archive_file(headers)),
    "object": _text("OBJECT", "ESO OBS TARG NAME"),
    "instrument": _text("INSTRUME"),
    "telescope": _text("TELESCOP"),
    "ra_deg": _angle("RA", "RA_TARG", packed="ESO TEL TARG ALPHA", hours=True),
    "dec_deg": _angle("DEC", "DEC_TARG", packed="ESO TEL TARG DELTA", hours=False),
    "exposure_time_s": _number("EXPTIME", "EXPOSURE", "TEXPTIME", "ITIME", low=0.0, high=1e9),
    "date_obs": _date_obs,
    "mjd_obs": lambda headers: _mjd_obs(headers) or _mjd(_date_obs(headers)),
    "proposal_id": _text("PROG_ID", "ESO OBS PROG ID"),
    "filter": _text("FILTER", "FILTER1", "ESO INS FILT1 NAME", "ESO INS FILT NAME", "BAND"),
    "snr": _number("SNR", low=-1e6, high=1e9),
    "seeing_arcsec": _number(
        "PSF_FWHM", "ESO TEL IA FWHM", "ESO TEL AMBI FWHM START", "ESO TEL AMBI FWHM", "SEEING", low=1e-3, high=60.0
    ),
    "product_category": _text("PRODCATG", "ESO PRO CATG"),
    "wavelength_min_nm": _number("WAVELMIN", low=1e-6, high=1e12),
    "wavelength_max_nm": _number("WAVELMAX", low=1e-6, high=1e12),
}


def _of_one(fact: Callable[[Sequence[Header]], Any]) -> Callable[[Header], Any]:
    return lambda header: fact((header,))


_OF_ONE = tuple(map(_of_one, _FACTS.values()))


def _cards_worth_keeping(headers: Sequence[Header]) -> str:
    """A JSON object of them; of a keyword in several headers the first."""
    if len(headers) == 1:
        texts: Iterable[str] = filter(None, headers[0].choose_texts(_CHOICE, _as_json))
    else:
        kept: dict[str, str] = {}
        for header in headers:
            for name, text in header.choose(_CHOICE, _as_json).items():
                kept.setdefault(name, text)
        texts = kept.values()
    return f"{{{','.join(itertools.islice(texts, MAX_CARDS))}}}"


def _as_json(name: str, value: CardValue) -> str | None:
    # PostgreSQL's jsonb and JavaScript hold no larger integers exactly.
    if type(value) is int and abs(value) >= 1 << 53:
        return None
    # What the encoder writes of a finite number, without its detours.
    text = repr(value) if type(value) is float else _ENCODER.encode(value)
    return f"{_name_as_json(name)}:{text}"


@lru_cache(maxsize=4096)
def _name_as_json(name: str) -> str:
    return _ENCODER.encode(name)
