#!/usr/bin/env bash
# The whole of navtrace in one command: a traced shop, an ordinary k6 browser test of it, and its result.
#
#   install/demo.sh                  builds navtrace
#   install/demo.sh --binary FILE    takes this program, or the one in this .tar.gz of a release
#
# For Debian 12 with Rust and, unless k6 is there already, Go. Gets Chromium from Debian's packages and builds k6 when
# they are missing; both stay, so that a second run is quick.
set -euo pipefail

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

binary=$(binary_argument "$@")
cd "$root"

need_rust
need_linker
need_k6
need_chromium

scratch=$(mktemp -d)
run_pid=
# shellcheck disable=SC2317 # called by the trap
stop() {
  if [ -n "$run_pid" ]; then
    kill "$run_pid" 2>/dev/null || true
    wait "$run_pid" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -n "$binary" ]; then
  program=$(release_program "$binary" "$scratch")
  say "Building the demo shop"
  cargo build --quiet --locked --example shop
  shop=$(target_dir)/debug/examples/shop
else
  say "Building navtrace and the demo shop"
  cargo build --quiet --release --locked --bin navtrace --example shop
  program=$(target_dir)/release/navtrace
  shop=$(target_dir)/release/examples/shop
fi

# The shop is started by the run, so that its two services get the run's OTLP endpoint from their environment.
export SHOP="$shop" SCRATCH="$scratch" K6_NO_USAGE_REPORT=true
say "Running: navtrace run -- k6 run examples/k6/demo.js, with the shop beside k6"
say
status=0
# In the background, since bash acts on a signal only between commands, and `wait` is one that it interrupts.
mkfifo "$scratch/stderr"
tee "$scratch/words" <"$scratch/stderr" >&2 &
tee_pid=$!
"$program" run -- install/demo-shop.sh k6 run --quiet examples/k6/demo.js 2>"$scratch/stderr" &
run_pid=$!
wait "$run_pid" || status=$?
run_pid=
wait "$tee_pid"

say
say "What the shop and the pricing service behind it received, per trace:"
say
cat "$scratch/received" >&2
say
named=$(sed -n 's/^navtrace:   \([0-9a-f]\{32\}\) .*/\1/p' "$scratch/words" | sort)
arrived=$(grep -o '^[0-9a-f]\{32\}' "$scratch/received" | sort)
# Nothing is collected here where the environment names a collector.
file=$(sed -n 's/^navtrace: .* to see them: navtrace view //p' "$scratch/words")
if [ "$status" -ne 0 ]; then
  say "The run failed with status $status."
elif ! grep -q '; without a traceparent: 0, with an invalid one: 0$' "$scratch/received"; then
  say "Not every request carried a traceparent, which is what navtrace is for."
  status=1
elif [ -z "$named" ] || [ "$named" != "$arrived" ]; then
  say "The ids that navtrace named are not the ids that arrived."
  status=1
else
  if [ -n "$file" ]; then
    say "One of the traces, the browser's spans and the services' in one (navtrace view):"
    say
    "$program" view "$file" "$(head -n 1 <<<"$named")" || status=$?
    say
  fi
  say "Each iteration is one trace: the ids that navtrace named are the ids that arrived."
  say "Next: ./install/install.sh, and then the same with a script of yours: navtrace run -- k6 run script.js"
fi
exit "$status"
