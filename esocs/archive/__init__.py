"""Room 1: products in. One row a file of the archive, accepted or rejected with its reason."""
