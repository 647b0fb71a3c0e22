#!/usr/bin/env bash
# Runs a command as root in the system in FOLDER, with a network and devices like here. FOLDER stays as it is: changes are lost at the end.
#
#   tests/support/in-system.sh [--bind FROM:TO]... FOLDER COMMAND...
#
# A bind is read-only. SITE there is the SHOP_URL of here.
set -euo pipefail

if [ "${IN_NAMESPACE:-}" != yes ]; then
  as=()
  [ "$(id -u)" -eq 0 ] || as=(sudo)
  exec "${as[@]}" env IN_NAMESPACE=yes SHOP_URL="${SHOP_URL:-}" unshare --mount --pid --fork --kill-child "$0" "$@"
fi
binds=()
while [ "$1" = --bind ]; do
  binds+=("$2")
  shift 2
done
system=$(cd "$1" && pwd)
shift

mount -t tmpfs navtrace /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay navtrace -o "lowerdir=$system,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
cd /mnt/root
mkdir -p proc dev old
mount -t proc proc proc
mount --rbind /dev dev
for bind in "${binds[@]}"; do
  mkdir -p "./${bind#*:}"
  mount --rbind "${bind%:*}" "./${bind#*:}"
  mount -o remount,bind,ro "./${bind#*:}"
done
pivot_root . old
# shellcheck disable=SC2016 # expanded there
exec env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin SITE="${SHOP_URL:-}" K6_NO_USAGE_REPORT=true \
  chroot . /bin/sh -c 'umount -l /old && rmdir /old && exec "$@"' sh "$@"
