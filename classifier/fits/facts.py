"""Header facts: ObsCore-like values from ESO's and everyone's keywords, and the cards worth keeping."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Mapping, Sequence

from classifier.fits.cards import CardValue, Choice, Header, as_number
from classifier.fits.content import HeaderFacts

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


# What the facts are looked up by, beside the ESO keywords.
_TOLD = frozenset(
    """
    ARCFILE DP.ID DP_ID OBJECT INSTRUME TELESCOP RA RA_TARG DEC DEC_TARG EXPTIME EXPOSURE TEXPTIME ITIME DATE-OBS
    DATE_OBS MJD-OBS MJD_OBS PROG_ID FILTER FILTER1 BAND SNR PSF_FWHM SEEING PRODCATG WAVELMIN WAVELMAX
    """.split()  # noqa: SIM905
)
_CHOICE = Choice(standard=_KEPT | _TOLD, eso=_KEPT_ESO)


def gather_facts(headers: Sequence[Header]) -> HeaderFacts:
    """Typed facts and chosen cards.

    Args:
        headers: The primary header, then the science extension's; the first that knows a fact gives it.
    """
    chosen = [header.choose(_CHOICE) for header in headers]
    facts = _Facts(chosen)
    date_obs = facts.text("DATE-OBS", "DATE_OBS")
    return HeaderFacts(
        dp_id=_dp_id(facts.text("ARCFILE", "ESO DP ID", "DP.ID", "DP_ID")),
        object=facts.text("OBJECT", "ESO OBS TARG NAME"),
        instrument=facts.text("INSTRUME"),
        telescope=facts.text("TELESCOP"),
        ra_deg=facts.angle("RA", "RA_TARG", packed="ESO TEL TARG ALPHA", hours=True),
        dec_deg=facts.angle("DEC", "DEC_TARG", packed="ESO TEL TARG DELTA", hours=False),
        exposure_time_s=facts.number("EXPTIME", "EXPOSURE", "TEXPTIME", "ITIME", low=0.0, high=1e9),
        date_obs=date_obs,
        mjd_obs=facts.number("MJD-OBS", "MJD_OBS", low=1.0, high=1e6) or _mjd(date_obs),
        proposal_id=facts.text("PROG_ID", "ESO OBS PROG ID"),
        filter=facts.text("FILTER", "FILTER1", "ESO INS FILT1 NAME", "ESO INS FILT NAME", "BAND"),
        snr=facts.number("SNR", low=-1e6, high=1e9),
        seeing_arcsec=facts.number(
            "PSF_FWHM",
            "ESO TEL IA FWHM",
            "ESO TEL AMBI FWHM START",
            "ESO TEL AMBI FWHM",
            "SEEING",
            low=1e-3,
            high=60.0,
        ),
        product_category=facts.text("PRODCATG", "ESO PRO CATG"),
        wavelength_min_nm=facts.number("WAVELMIN", low=1e-6, high=1e12),
        wavelength_max_nm=facts.number("WAVELMAX", low=1e-6, high=1e12),
        cards=_cards_worth_keeping(chosen),
    )


class _Facts:
    """Look-ups over several headers' chosen values: by one name in all headers, then by the next."""

    def __init__(self, chosen: Sequence[tuple[Mapping[str, CardValue], Mapping[str, CardValue]]]) -> None:
        self._headers = [{**standard, **eso} for standard, eso in chosen]

    def _values(self, names: Sequence[str]) -> list[CardValue]:
        return [value for name in names for header in self._headers if (value := header.get(name)) is not None]

    def text(self, *names: str) -> str | None:
        """The first that is not empty."""
        for value in self._values(names):
            if not isinstance(value, bool) and (text := str(value).strip()):
                return text
        return None

    def number(self, *names: str, low: float, high: float) -> float | None:
        """The first that lies within the bounds."""
        for value in self._values(names):
            number = as_number(value)
            if number is not None and low <= number <= high:
                return number
        return None

    def angle(self, *names: str, packed: str, hours: bool) -> float | None:
        """Degrees from numbers, from sexagesimal text (right ascension in hours), or packed as ESO does it."""
        low, high = (0.0, 360.0) if hours else (-90.0, 90.0)
        for value in self._values(names):
            angle = as_number(value)
            if angle is None and isinstance(value, str):
                angle = _sexagesimal(value, hours=hours)
            if angle is not None and low <= angle <= high:
                return angle
        number = self.number(packed, low=-1e6, high=1e6)
        angle = None if number is None else _packed_angle(number, hours=hours)
        return angle if angle is not None and low <= angle <= high else None


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


def _cards_worth_keeping(
    chosen: Sequence[tuple[Mapping[str, CardValue], Mapping[str, CardValue]]],
) -> dict[str, CardValue]:
    kept: dict[str, CardValue] = {}
    for standard, eso in chosen:
        worth_keeping = {name: value for name, value in standard.items() if name in _KEPT}
        worth_keeping.update(eso)
        # PostgreSQL's jsonb and JavaScript hold no larger integers exactly.
        for name in [name for name, value in worth_keeping.items() if type(value) is int and abs(value) >= 1 << 53]:
            del worth_keeping[name]
        for name, value in worth_keeping.items() if kept else ():
            kept.setdefault(name, value)
        kept = kept or worth_keeping
    return kept if len(kept) <= MAX_CARDS else dict(itertools.islice(kept.items(), MAX_CARDS))
