"""The demonstration: a simulated survey and simulated volunteers, known to nothing else in esocs."""
