"""Panoptes' own ways: which subjects it selects, and what it counts. A workflow asks for them in its configuration.

Of two things esocs does otherwise (docs/decisions/0025): gold and repeats do not count, and nobody is asked
about what is settled or what they have seen. `"selection": "panoptes"` in a workflow's configuration brings both back.
Streams (`streams`), which say how often each subject set is drawn from, hold either way.
"""
