"""Tests of the FITS readers."""
