"""The cards of an ESO Phase 3 product (ESO-044286) as VST/OmegaCAM and the VLT's spectrographs write them.

No function here is given an object's class or difficulty, so no card can betray them.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from esocs.demo.survey.observing import ImageConditions, Pointing
from esocs.demo.survey.optics import PIXEL_ARCSEC
from esocs.demo.survey.writer import Card

Rng = np.random.Generator

PROCSOFT: Final = "esocs simulated survey"
_MJD_ZERO: Final = datetime(1858, 11, 17, tzinfo=UTC)
_FILTERS: Final = (("g_SDSS", 24.75), ("r_SDSS", 24.6), ("i_SDSS", 24.1))


def utc(mjd: float) -> datetime:
    """The moment of a modified Julian date."""
    return _MJD_ZERO + timedelta(days=mjd)


def iso(moment: datetime) -> str:
    """ISO 8601 to the millisecond, without a zone, as FITS dates are."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def target_name(rng: Rng) -> str:
    """A neutral name: a field's and a running number."""
    return f"FIELD-{int(rng.integers(1, 900)):03d}-{int(rng.integers(1, 10000)):04d}"


def wcs_cards(conditions: ImageConditions, rng: Rng) -> list[Card]:
    """A gnomonic WCS whose reference point is a tile's centre up to 0.4 degrees away, as in a cut-out."""
    pointing = conditions.pointing
    scale = PIXEL_ARCSEC / 3600
    turn = math.radians(rng.normal(0, 0.4))
    cd = np.array([[-math.cos(turn), math.sin(turn)], [math.sin(turn), math.cos(turn)]]) * scale
    crval = (
        (pointing.ra_deg + rng.uniform(-0.3, 0.3) / math.cos(math.radians(pointing.dec_deg))) % 360.0,
        pointing.dec_deg + rng.uniform(-0.3, 0.3),
    )
    crval = (round(crval[0], 8), round(crval[1], 8))
    # gnomonic projection of the target about the reference point (Calabretta & Greisen 2002, §5.1.3)
    ra0, dec0 = math.radians(crval[0]), math.radians(crval[1])
    ra, dec = math.radians(pointing.ra_deg), math.radians(pointing.dec_deg)
    cosine = math.sin(dec0) * math.sin(dec) + math.cos(dec0) * math.cos(dec) * math.cos(ra - ra0)
    xi = math.degrees(math.cos(dec) * math.sin(ra - ra0) / cosine)
    eta = math.degrees((math.cos(dec0) * math.sin(dec) - math.sin(dec0) * math.cos(dec) * math.cos(ra - ra0)) / cosine)
    from_reference = np.linalg.solve(cd, np.array([xi, eta]))
    error_px = rng.normal(0, 0.15, size=2)
    crpix = np.array(conditions.target_px) + 1.0 + error_px - from_reference
    return [
        ("RADESYS", "ICRS", "Coordinate reference frame"),
        ("EQUINOX", 2000.0, "[y] Standard FK5"),
        ("CTYPE1", "RA---TAN", "Gnomonic projection"),
        ("CTYPE2", "DEC--TAN", "Gnomonic projection"),
        ("CUNIT1", "deg", ""),
        ("CUNIT2", "deg", ""),
        ("CRVAL1", crval[0], "[deg] Reference point"),
        ("CRVAL2", crval[1], "[deg] Reference point"),
        ("CRPIX1", float(crpix[0]), "[pixel] Reference pixel"),
        ("CRPIX2", float(crpix[1]), "[pixel] Reference pixel"),
        ("CD1_1", float(cd[0, 0]), "[deg/pixel]"),
        ("CD1_2", float(cd[0, 1]), "[deg/pixel]"),
        ("CD2_1", float(cd[1, 0]), "[deg/pixel]"),
        ("CD2_2", float(cd[1, 1]), "[deg/pixel]"),
        ("CRDER1", 1.5e-05, "[deg] Random error"),
        ("CRDER2", 1.5e-05, "[deg] Random error"),
        ("CSYER1", 2.8e-05, "[deg] Systematic error"),
        ("CSYER2", 2.8e-05, "[deg] Systematic error"),
    ]


def observation_cards(pointing: Pointing, *, dp_id: str, published: datetime, name: str, rng: Rng) -> list[Card]:
    """What every product says of its observation and origin."""
    return [
        ("ORIGIN", "ESO", "European Southern Observatory"),
        ("DATE", iso(published - timedelta(days=40)), "UT date when this file was written"),
        ("OBJECT", name, "Target designation"),
        ("RA", pointing.ra_deg, "[deg] Target position (J2000.0)"),
        ("DEC", pointing.dec_deg, "[deg] Target position (J2000.0)"),
        ("EXPTIME", pointing.exposure_s * pointing.exposures, "[s] Total integration time per pixel"),
        ("TEXPTIME", pointing.exposure_s * pointing.exposures, "[s] Total integration time"),
        ("MJD-OBS", round(pointing.mjd_start, 8), "[d] Start of observations"),
        ("MJD-END", round(pointing.mjd_end, 8), "[d] End of observations"),
        ("DATE-OBS", iso(utc(pointing.mjd_start)), "UT start of observations"),
        ("DATE-END", iso(utc(pointing.mjd_end)), "UT end of observations"),
        ("PROG_ID", f"60.A-{int(rng.integers(9800, 9830))}(S)", "ESO programme identification"),
        ("OBID1", int(rng.integers(200_000, 2_900_000)), "Observation block ID"),
        ("M_EPOCH", False, "TRUE if resulting from multiple epochs"),
        ("NCOMBINE", pointing.exposures, "Number of combined raw science data files"),
        ("PROCSOFT", PROCSOFT, "Data reduction software"),
        ("REFERENC", "", "Bibliographic reference"),
        ("ARCFILE", f"{dp_id}.fits", "Archive file name"),
        ("P3ORIG", "EDP", "ESO external data product"),
    ]


def progenitor_cards(pointing: Pointing, *, prefix: str) -> list[Card]:
    """One PROVi for each raw exposure."""
    seconds = pointing.exposure_s + 40.0
    return [
        (f"PROV{number + 1}", f"{prefix}.{iso(utc(pointing.mjd_start + number * seconds / 86400))}.fits", "")
        for number in range(pointing.exposures)
    ]


def telescope_cards(pointing: Pointing, rng: Rng) -> list[Card]:
    """The hierarchical cards about telescope, weather and observation block."""
    altitude = 90 - math.degrees(math.acos(min(1.0, 1 / pointing.airmass)))
    ambient = pointing.ambient_seeing_arcsec
    pressure = rng.normal(743.5, 1.2)
    moon = rng.uniform(0, 1)
    hierarchy: list[tuple[str, float | int | str | bool, str]] = [
        ("OBS ID", int(rng.integers(200_000, 2_900_000)), "Observation block ID"),
        ("OBS NAME", f"OB-{int(rng.integers(1, 9999)):04d}", "OB name"),
        ("OBS TPLNO", int(rng.integers(1, 5)), "Template number within OB"),
        ("OBS EXECTIME", int(rng.integers(600, 4000)), "Expected execution time"),
        ("TPL NEXP", pointing.exposures, "Number of exposures within template"),
        ("TPL EXPNO", 1, "Exposure number within template"),
        ("DPR CATG", "SCIENCE", "Observation category"),
        ("DPR TYPE", "OBJECT", "Observation type"),
        ("TEL GEOELEV", 2635.0, "[m] Elevation above sea level"),
        ("TEL GEOLAT", -24.6268, "[deg] Latitude"),
        ("TEL GEOLON", -70.404, "[deg] Longitude"),
        ("TEL ALT", round(altitude, 4), "[deg] Altitude at start"),
        ("TEL AZ", round(float(rng.uniform(0, 360)), 4), "[deg] Azimuth at start, S=0, W=90"),
        ("TEL AIRM START", round(pointing.airmass, 3), "Air mass at start"),
        ("TEL AIRM END", round(pointing.airmass * rng.uniform(0.98, 1.04), 3), "Air mass at end"),
        ("TEL AMBI FWHM START", round(ambient, 2), "[arcsec] Seeing at start"),
        ("TEL AMBI FWHM END", round(ambient * rng.uniform(0.9, 1.1), 2), "[arcsec] Seeing at end"),
        ("TEL AMBI PRES START", round(pressure, 2), "[hPa] Pressure at start"),
        ("TEL AMBI PRES END", round(pressure + rng.normal(0, 0.05), 2), "[hPa] Pressure at end"),
        ("TEL AMBI RHUM", round(float(rng.uniform(3, 45)), 1), "[%] Relative humidity"),
        ("TEL AMBI TEMP", round(float(rng.normal(12, 3)), 2), "[C] Ambient temperature"),
        ("TEL AMBI TAU0", round(float(rng.lognormal(-5.4, 0.4)), 6), "[s] Coherence time"),
        ("TEL AMBI WINDDIR", round(float(rng.uniform(0, 360)), 1), "[deg] Wind direction"),
        ("TEL AMBI WINDSP", round(float(rng.gamma(3, 2)), 2), "[m/s] Wind speed"),
        ("TEL AMBI IRSKY TEMP", round(float(rng.normal(-85, 9)), 1), "[C] Sky temperature"),
        ("TEL MOON DEC", round(float(rng.uniform(-28, 28)), 5), "[deg] Moon's declination"),
        ("TEL MOON RA", round(float(rng.uniform(0, 360)), 5), "[deg] Moon's right ascension"),
        ("TEL MOON FLI", round(moon, 3), "Fractional lunar illumination"),
        ("TEL TRAK STATUS", "NORMAL", "Tracking status"),
        ("TEL FOCU VALUE", round(float(rng.normal(-0.9, 0.1)), 4), "[mm] Focus"),
        ("TEL M1 TEMP", round(float(rng.normal(12, 3)), 2), "[C] Primary mirror"),
        ("TEL PARANG START", round(float(rng.uniform(-180, 180)), 3), "[deg] Parallactic angle at start"),
        ("TEL TH M1 TEMP", round(float(rng.normal(12, 3)), 2), "[C] Primary mirror, structure"),
    ]
    return [(f"HIERARCH ESO {keyword}", value, comment) for keyword, value, comment in hierarchy]


def omegacam_cards(conditions: ImageConditions, rng: Rng, *, filter_name: str) -> list[Card]:
    """The hierarchical cards about OmegaCAM and its detector."""
    detector = conditions.detector
    return [
        ("HIERARCH ESO DPR TECH", "IMAGE,JITTER", "Observation technique"),
        ("HIERARCH ESO TPL ID", "OMEGACAM_img_obs_jitter", "Template signature ID"),
        ("HIERARCH ESO INS ID", "OMEGACAM/1.11", "Instrument ID"),
        ("HIERARCH ESO INS FILT1 NAME", filter_name, "Filter name"),
        ("HIERARCH ESO INS THERMAL AMB MEAN", round(float(rng.normal(12, 3)), 2), "[C]"),
        ("HIERARCH ESO DET CHIP1 ID", f"ESO_CCD_#{int(rng.integers(65, 97))}", "Detector chip"),
        ("HIERARCH ESO DET CHIPS", 32, "Number of chips in the mosaic"),
        ("HIERARCH ESO DET OUT1 CONAD", round(detector.gain, 3), "[e/adu] Conversion"),
        ("HIERARCH ESO DET OUT1 RON", round(detector.read_noise_e, 2), "[e] Readout noise"),
        ("HIERARCH ESO DET READ CLOCK", "Normal", "Readout clock pattern"),
        ("HIERARCH ESO DET WIN1 BINX", 1, "Binning along X"),
        ("HIERARCH ESO DET WIN1 BINY", 1, "Binning along Y"),
        ("HIERARCH ESO ADA ABSROT START", round(conditions.spider_angle_deg, 3), "[deg] Rotator at start"),
        ("HIERARCH ESO ADA GUID STATUS", "ON", "Status of autoguider"),
        ("HIERARCH ESO PRO CATG", "SCIENCE_IMAGE", "Category of pipeline product"),
        ("HIERARCH ESO PRO SCIENCE", True, "Scientific product"),
        ("COMMENT", "A simulated observation, made by esocs.demo.survey.", ""),
    ]


def image_cards(
    conditions: ImageConditions, rng: Rng, *, dp_id: str, published: datetime, noise_area_px: float
) -> list[Card]:
    """A VST/OmegaCAM image's whole header after the mandatory keywords.

    Args:
        conditions: The exposure.
        rng: The object's stream.
        dp_id: The archive's name of the product.
        published: When the archive took it in.
        noise_area_px: Effective area of a point's light, for the limiting magnitude.
    """
    pointing, detector = conditions.pointing, conditions.detector
    name = target_name(rng)
    filter_name, zero_point = _FILTERS[int(rng.integers(0, len(_FILTERS)))]
    zero_point += 2.5 * math.log10(pointing.exposure_s) + rng.normal(0, 0.03) - 0.1 * (pointing.airmass - 1)
    limit = zero_point - 2.5 * math.log10(5 * detector.noise_adu * math.sqrt(noise_area_px))
    seeing = conditions.seeing_arcsec * rng.normal(1, 0.015)
    return [
        ("BUNIT", "adu", "Physical unit of the array values"),
        *observation_cards(pointing, dp_id=dp_id, published=published, name=name, rng=rng),
        ("TELESCOP", "ESO-VST", "ESO telescope designation"),
        ("INSTRUME", "OMEGACAM", "Instrument name"),
        ("FILTER", filter_name, "Filter name"),
        *wcs_cards(conditions, rng),
        ("PRODCATG", "SCIENCE.IMAGE", "Data product category"),
        ("IMATYPE", "TILE", "Specific image type"),
        ("ISAMP", False, "TRUE if image represents partially sampled sky"),
        ("OBSTECH", "IMAGE,JITTER", "Technique of observation"),
        ("FLUXCAL", "ABSOLUTE", "Type of flux calibration"),
        ("PHOTSYS", "AB", "Photometric system"),
        ("PHOTZP", round(zero_point, 4), "[mag] Photometric zero point"),
        ("PHOTZPER", 0.03, "[mag] Its uncertainty"),
        ("ABMAGLIM", round(limit, 3), "[mag] 5-sigma limit for point sources"),
        (
            "ABMAGSAT",
            round(zero_point - 15.0 + rng.normal(0, 0.1), 3),
            "[mag] Saturation limit for point sources",
        ),
        ("PSF_FWHM", round(float(seeing), 3), "[arcsec] Spatial resolution"),
        ("ELLIPTIC", round(2 * conditions.psf_ellipticity, 4), "Average ellipticity of point sources"),
        ("GAIN", round(detector.gain, 3), "[e/adu] Effective gain"),
        ("SKYLEVEL", round(detector.sky_adu * rng.normal(1, 0.01), 2), "[adu] Median sky"),
        ("PIXSCALE", PIXEL_ARCSEC, "[arcsec] Pixel scale"),
        *progenitor_cards(pointing, prefix="OMEGA"),
        *telescope_cards(pointing, rng),
        *omegacam_cards(conditions, rng, filter_name=filter_name),
    ]
