"""The child process that opens untrusted files: ``python -m classifier.fits.child``. It limits itself first.

Standard input brings request frames, standard output takes answer frames; it ends when its input does.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import warnings
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from classifier.fits.errors import FitsError, TooMuchMemoryError, UnreadableError
from classifier.fits.limits import Limits
from classifier.fits.parsing import parse_file
from classifier.fits.wire import LENGTHS, decode_request, encode_content, encode_error

READY = b"esocs-fits-child-1\n"

_TOLERATED_LEAK_BYTES = 256 * 1024 * 1024


def main() -> None:
    """Answer requests until the input ends, or until memory has leaked: then exit with 0 to be replaced."""
    limits = Limits(**json.loads(sys.argv[1]))
    requests, answers = _private_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it closes our input
    warnings.simplefilter("ignore")
    _limit_process(limits)
    gc.freeze()  # what the imports made lives as long as we do
    ceiling_bytes = _address_space_bytes() + min(_TOLERATED_LEAK_BYTES, limits.memory_bytes // 4)
    answers.write(READY)
    answers.flush()
    while len(lengths := requests.read(LENGTHS.size)) == LENGTHS.size:
        path, spec = decode_request(requests.read(LENGTHS.unpack(lengths)[0]))
        _limit_next_file(limits)
        try:
            answer = encode_content(parse_file(Path(path), spec=spec, limits=limits))
        except FitsError as error:
            answer = encode_error(error)
        except ValueError as error:  # a number that is none, which no reader of files should have let pass
            answer = encode_error(UnreadableError(f"The file's content makes no sense: {error!s:.200}"))
        except MemoryError:
            answer = encode_error(TooMuchMemoryError("Reading the file needs more memory than is allowed."))
        answers.write(answer)
        answers.flush()
        if _address_space_bytes() > ceiling_bytes:
            return  # what a damaged file made a library leak must not count against the next one


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our two pipes, out of reach of libraries that print."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, answers


def _limit_process(limits: Limits) -> None:
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, limits.expanded_bytes + (1 << 20))
    _lower(resource.RLIMIT_NOFILE, 128)
    _lower(resource.RLIMIT_AS, limits.memory_bytes)


def _limit_next_file(limits: Limits) -> None:
    """RLIMIT_CPU counts a process's whole life, so it moves on with each file; the kernel sends SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = int(usage.ru_utime + usage.ru_stime)
    _lower(resource.RLIMIT_CPU, used_s + limits.cpu_s + 1)


def _address_space_bytes() -> int:
    """What RLIMIT_AS counts; 0 where the system does not tell."""
    descriptor = _statm()
    if descriptor < 0:
        return 0
    return int(os.pread(descriptor, 64, 0).split(maxsplit=1)[0]) * resource.getpagesize()


@lru_cache(maxsize=1)
def _statm() -> int:
    """The kernel's count of our pages, held open: it is asked after every file."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return -1


def _lower(kind: int, soft: int) -> None:
    """Set a soft limit; where the system has no such limit (RLIMIT_AS on macOS) the others remain."""
    hard = resource.getrlimit(kind)[1]
    wanted = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    try:
        resource.setrlimit(kind, (wanted, hard))
    except (ValueError, OSError):
        return


if __name__ == "__main__":
    main()
