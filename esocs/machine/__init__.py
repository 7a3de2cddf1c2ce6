"""Room 3: model versions, their predictions, and the routes decided on them."""
