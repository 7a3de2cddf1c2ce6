"""What the device that runs a network can fail with. No torch here: who only handles these errors does not load it."""

from __future__ import annotations

from classifier.errors import EsocsError


class DeviceMemoryError(EsocsError):
    """Not even a single plane fits in the memory of the device."""

    code = "device_memory"
    status = 503


class DeviceLostError(EsocsError):
    """The GPU failed in the middle of its work; this process cannot use it any more."""

    code = "device_lost"
    status = 503
    ends_process = True


class DeviceMissingError(EsocsError):
    """The machine does not have the device that the settings name."""

    code = "device_missing"
    status = 503
