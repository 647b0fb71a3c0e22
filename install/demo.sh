#!/usr/bin/env bash
# The whole of navtrace in one command: a traced shop, an ordinary k6 browser test of it, and what came of it.
#
# For Debian 12 with Rust and, unless k6 is there already, Go. Gets Chromium from Debian's packages and builds k6 when
# they are missing; both stay, so that a second run is quick.
set -euo pipefail

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need_rust
need_linker
need_k6
need_chromium

say "Building navtrace and the demo shop"
cargo build --quiet --release --locked --bin navtrace --example shop
built=$(target_dir)/release

scratch=$(mktemp -d)
shop_pid=
run_pid=
# shellcheck disable=SC2317 # called by the trap
stop() {
  local pid
  # The run first, so that no browser is left with a shop that is closed.
  for pid in $run_pid $shop_pid; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$built/examples/shop" >"$scratch/shop" &
shop_pid=$!
# Its one line of output says where it listens.
for _ in $(seq 100); do
  SHOP_URL=$(sed -n 's/^shop //p' "$scratch/shop")
  if [ -n "$SHOP_URL" ]; then break; fi
  kill -0 "$shop_pid" 2>/dev/null || fail "the demo shop ended before it listened"
  sleep 0.1
done
[ -n "$SHOP_URL" ] || fail "the demo shop did not start in time"
say "The shop is open: $SHOP_URL"

# get PATH: what the shop serves there. bash can do that by itself, so curl need not be installed.
get() {
  exec 3<>"/dev/tcp/127.0.0.1/${SHOP_URL##*:}"
  printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3
  sed '1,/^\r*$/d' <&3
  exec 3>&-
}

export SHOP_URL K6_NO_USAGE_REPORT=true
if [ -z "${OTEL_EXPORTER_OTLP_ENDPOINT:-}" ]; then
  export OTEL_TRACES_EXPORTER=none
fi
say "Running: navtrace run -- k6 run examples/k6/demo.js"
say
status=0
# In the background, since bash acts on a signal only between commands, and `wait` is one that it interrupts.
mkfifo "$scratch/stderr"
tee "$scratch/words" <"$scratch/stderr" >&2 &
tee_pid=$!
"$built/navtrace" run -- k6 run --quiet examples/k6/demo.js 2>"$scratch/stderr" &
run_pid=$!
wait "$run_pid" || status=$?
run_pid=
wait "$tee_pid"

say
say "What the shop and the pricing service behind it received, per trace:"
say
get /_received.txt >"$scratch/received"
cat "$scratch/received" >&2
say
named=$(sed -n 's/^navtrace:   \([0-9a-f]\{32\}\) .*/\1/p' "$scratch/words" | sort)
arrived=$(grep -o '^[0-9a-f]\{32\}' "$scratch/received" | sort)
if [ "$status" -ne 0 ]; then
  say "The run failed with status $status."
elif ! grep -q '; without a traceparent: 0, with an invalid one: 0$' "$scratch/received"; then
  say "Not every request carried a traceparent, which is what navtrace is for."
  status=1
elif [ -z "$named" ] || [ "$named" != "$arrived" ]; then
  say "The ids that navtrace named are not the ids that arrived."
  status=1
else
  say "Each iteration is one trace: the ids that navtrace named are the ids that arrived."
  if [ -z "${OTEL_EXPORTER_OTLP_ENDPOINT:-}" ]; then
    say "To see the traces, browser and services in one, start a Jaeger and run this again with"
    say "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 in the environment."
  fi
  say "Next: ./install/install.sh, and then the same with a script of yours: navtrace run -- k6 run script.js"
fi
exit "$status"
