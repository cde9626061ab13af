#!/usr/bin/env bash
# Prints the Python that `make` works with where PYTHON= names none: python3 of the search path.
# One that was compiled without profile-guided optimisation, as pyenv does by default, takes a fifth longer for
# everything: there it is the distribution's, if that is new enough and can make virtual environments.
# Argument: the distribution's Python (/usr/bin/python3).
set -euo pipefail
distributions="${1:-/usr/bin/python3}"

optimised='import sys, sysconfig; sys.exit("--enable-optimizations" not in sysconfig.get_config_var("CONFIG_ARGS"))'
suitable='import ensurepip, sys; sys.exit(sys.version_info < (3, 11))'
if ! python3 -c "$optimised" 2>/dev/null && "$distributions" -c "$suitable" 2>/dev/null; then
  echo "$distributions"
else
  echo python3
fi
