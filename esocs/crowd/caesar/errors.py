"""Why an object of Caesar's is refused, or comes to nothing."""

from __future__ import annotations

from classifier.errors import EsocsError


class CaesarConfigurationError(EsocsError):
    """An extractor, reducer, rule or effect that cannot work."""

    code = "caesar_configuration"
    status = 422


class CaesarUnsupportedError(EsocsError):
    """What Caesar has and esocs has not."""

    code = "caesar_unsupported"
    status = 422


class ExtractionError(EsocsError):
    """A classification that an extractor cannot read."""

    code = "extraction_failed"
    status = 422


class ReductionError(EsocsError):
    """Extracts that a reducer cannot reduce."""

    code = "reduction_failed"
    status = 422
