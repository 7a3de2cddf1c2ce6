"""One module a resource: the request in, a room's service or query, the document out."""
