"""Caesar's HTTP API under /caesar: plain JSON objects and arrays, as its clients expect them."""
