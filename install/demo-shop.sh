#!/usr/bin/env bash
# Runs a command beside the demo shop ($SHOP, a program), with its address in SHOP_URL, and keeps what the shop received in $SCRATCH/received.
# For demo.sh, where `navtrace run` starts it.
set -euo pipefail

"$SHOP" >"$SCRATCH/shop" &
shop_pid=$!
# The shop exports its last spans on SIGTERM.
# shellcheck disable=SC2317 # called by the trap
stop() {
  kill "$shop_pid" 2>/dev/null || true
  wait "$shop_pid" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Its one line of output says where it listens.
for _ in $(seq 100); do
  SHOP_URL=$(sed -n 's/^shop //p' "$SCRATCH/shop")
  if [ -n "$SHOP_URL" ]; then break; fi
  kill -0 "$shop_pid" 2>/dev/null || fail "the demo shop ended before it listened"
  sleep 0.1
done
[ -n "$SHOP_URL" ] || fail "the demo shop did not start in time"
export SHOP_URL

status=0
"$@" || status=$?

# bash can do that by itself, so curl need not be installed.
exec 3<>"/dev/tcp/127.0.0.1/${SHOP_URL##*:}"
printf 'GET /_received.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
sed '1,/^\r*$/d' <&3 >"$SCRATCH/received"
exit "$status"
