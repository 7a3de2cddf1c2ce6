"""Tests of the instrument; none needs a database."""
