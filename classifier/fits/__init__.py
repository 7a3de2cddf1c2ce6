"""FITS in, typed content out. Every file is hostile: pre-scanned, then parsed in a limited child process."""
