"""Caesar's way to aggregate: extractors, reducers, rules and effects in Caesar's JSON (zooniverse/caesar).

`Classification` rows are the source of truth; extracts and reductions are derived from them and may be made again at
any time. `extraction.py`, `filters.py`, `reduction.py`, `jsonpath.py`, `bindings.py` and `configuration.py` are pure.
"""
