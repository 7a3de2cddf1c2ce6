#!/bin/sh
# Make the virtual environment from the lock. Usage: make_venv.sh PYTHON VENV EXTRAS
set -eu
python=$1 venv=$2 extras=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "esocs needs Python 3.11 or newer; '$python' is not. Name another: make PYTHON=/path/to/python3.11" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  echo "'$python' has no venv module. On Debian: apt-get install python3-venv" >&2
  exit 1
fi
[ -x "$venv/bin/python" ] || { echo "Making the virtual environment"; "$python" -m venv "$venv"; }
echo "Installing the Python packages of esocs[$extras] (a few minutes the first time)"
failed=$(mktemp)
trap 'rm -f "$failed"' EXIT
# What is never imported need not be compiled; Python compiles the rest when it is.
{
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-compile --progress-bar off \
    --constraint constraints.txt --editable ".[$extras]" 2>&1 || echo failed >"$failed"
} | sh scripts/show_packages.sh
[ ! -s "$failed" ]
