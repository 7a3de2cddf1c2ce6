"""Door: HTML pages for volunteers and scientists."""
