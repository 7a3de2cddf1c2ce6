"""Door: the Zooniverse-compatible HTTP API."""
