#!/usr/bin/env bash
# Compares navtrace with the other ways to trace a browser test, and writes docs/comparison.md. Takes half an hour; nothing else may run.
#
#   benches/compare.sh               everything
#   benches/compare.sh k6 none sdk   only these clients and ways, to standard output
#
# ROUNDS sets the number of rounds, 8 by default.
set -euo pipefail

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../install/lib.sh"
cd "$root"

need_rust
need_linker
need_node
need_debian_chromium
need_k6
[ -d node_modules ] || quietly npm ci --ignore-scripts --no-audit --no-fund

if [ "$#" -gt 0 ]; then
  exec cargo bench --locked --bench compare -- "$@"
fi
page=$(mktemp)
trap 'rm -f "$page"' EXIT
cargo bench --locked --bench compare >"$page"
cat "$page" >docs/comparison.md
say "docs/comparison.md is new."
