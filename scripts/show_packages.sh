#!/bin/sh
# One short line a package, so that a long installation is seen to move. Reads pip's output.
while IFS= read -r line; do
  case $line in
    Collecting*) printf '  %s\n' "${line%% (*}" ;;
    "Installing collected packages"*) echo "  Unpacking" ;;
    "Successfully installed"*) echo "  Installed" ;;
    ERROR* | error*) echo "$line" >&2 ;;
  esac
done
