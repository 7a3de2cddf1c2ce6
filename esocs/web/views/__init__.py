"""The pages, one module a subject. Queries live in the rooms and in the modules beside this package."""
