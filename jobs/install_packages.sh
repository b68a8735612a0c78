#!/usr/bin/env bash
# install_packages.sh LIST... : install what is missing of the Debian packages in the lists.
# Without root or apt, says what is missing and stops.
set -euo pipefail

missing=()
while read -r package; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done < <(cat "$@" | sed 's/#.*//' | grep -v '^[[:space:]]*$')

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "These Debian packages are missing and cannot be installed without root and apt: ${missing[*]}" >&2
    echo "Ask your administrator for: apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "Installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
