#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages whose programs are missing (`make system-packages`).
# Where this user may not, it prints which are missing and succeeds: what needs them is skipped with a reason.
# Arguments: pairs PROGRAM:PACKAGE; without any, the ones that the tests and the demo use.
set -euo pipefail

wanted=("$@")
if [ ${#wanted[@]} -eq 0 ]; then
  wanted=(s3fs:s3fs fusermount3:fuse3 skopeo:skopeo docker-registry:docker-registry
    systemd-analyze:systemd jq:jq)
fi

missing=()
for pair in "${wanted[@]}"; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "system packages: missing, to be installed as root: ${missing[*]}"
  exit 0
fi

# Debian starts docker-registry as a service on port 5000 where systemd runs; only the program is wanted here.
service_is_wanted_off=false
if [ -d /run/systemd/system ] && [[ " ${missing[*]} " == *" docker-registry "* ]]; then
  service_is_wanted_off=true
  systemctl mask --runtime docker-registry.service || true
fi

echo "system packages: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# One at a time: `make test` sets up several things beside each other, and apt does not wait for another apt.
flock --close "${BASH_SOURCE[0]}" apt-get update -qq
flock --close "${BASH_SOURCE[0]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"

if $service_is_wanted_off; then
  systemctl unmask --runtime docker-registry.service || true
  systemctl disable docker-registry.service || true
fi
