#!/bin/sh
# What the machine tests need of the machine itself, and the browser that pages are looked at with.
# Says why where it can't be had; the tests then skip.
set -eu
needed="systemd-container debootstrap iproute2 nginx-light dbus openssh-client postgresql chromium chromium-driver fonts-dejavu-core"
[ "$(id -u)" = 0 ] || { echo "no machine tests: they take root"; exit 0; }
command -v apt-get >/dev/null || { echo "no machine tests: what they need is installed by apt-get"; exit 0; }
# shellcheck disable=SC2086
if dpkg-query --show --showformat '${db:Status-Abbrev}\n' $needed 2>/dev/null | grep -c '^ii' | grep -qx 10; then
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
{ apt-get update -qq && apt-get install -qq -y --no-install-recommends $needed >/dev/null; } ||
  echo "no machine tests: apt-get can't install $needed"
