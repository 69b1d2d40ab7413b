#!/usr/bin/env bash
# Debian packages that tests need and no wheel has. Installed where this runs as root on a Debian-like system; elsewhere
# the tests that need them skip, and say which package it is. Quiet and quick when all of them are there.
# Those that are named on the command line are installed as well.
set -euo pipefail

PACKAGES=(
  chromium          # the console in a real browser
  fonts-dejavu-core # its letters: a minimal system has none
  slurm-wlm         # the provider slurm, on a real one
  munge             # how its daemons know each other
  openssh-server    # hosts of the ssh provider, each with its own
  iproute2          # and the network that they are on
)

missing=()
for package in "${PACKAGES[@]}" "$@"; do
  [[ $(dpkg-query --show --showformat '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Some tests will skip, for want of: ${missing[*]}. As root on Debian: tools/debian.sh"
  exit 0
fi

echo "Installing for the tests: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt="apt-get -qq -o DPkg::Lock::Timeout=300"
if ! { $apt update && $apt install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 5 "$log"
  echo "They could not be installed: the tests that need them will skip."
fi
