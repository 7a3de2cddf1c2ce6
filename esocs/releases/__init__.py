"""Room 6: what leaves the house: exports now, catalogues and FAIR packages later."""
