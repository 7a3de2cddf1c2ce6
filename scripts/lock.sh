#!/bin/sh
# Resolve the dependencies of every extra into constraints.txt. Usage: lock.sh PYTHON EXTRAS
set -eu
python=$1 extras=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder"
# torch is pinned exactly and by hand: a range would let the index choose a build of several gigabytes.
"$folder/bin/python" -m pip install --disable-pip-version-check --quiet --editable ".[$extras]" torch==2.13.0
{
  echo "# Every package of every extra, pinned. Made by \`make lock\`. torch carries no local version and CUDA's packages are"
  echo "# left out, so that the same file serves a laptop and a GPU machine: pip takes the build that the index offers."
  "$folder/bin/python" -m pip freeze --exclude-editable | grep -viE '^(nvidia|triton|cuda)' |
    sed -E 's/^(torch==[0-9.]+)\+.*/\1/'
} > constraints.txt
