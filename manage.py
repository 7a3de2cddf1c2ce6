#!/usr/bin/env python
"""The command line of esocs: `python manage.py help` lists the commands."""

import os
import sys

from classifier.errors import EsocsError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "esocs.config.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except EsocsError as error:
        sys.exit(f"{error.code}: {error}")
    except OperationalError as error:
        from esocs.config.checks import explain_database_error

        sys.exit(explain_database_error(error))


if __name__ == "__main__":
    main()
