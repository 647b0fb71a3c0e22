#!/usr/bin/env bash
# Checks everything: format, lints, types, scripts, tests on both sides, and real browser flows.
# Installs the tools on Debian. Only Rust and Go must be there before. A missing tool is a failure; nothing is skipped.
#
#   tests/run.sh           everything
#   tests/run.sh --fast    everything that needs no browser
set -euo pipefail

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../install/lib.sh"
cd "$root"

fast=false
case ${1:-} in
  "") ;;
  --fast) fast=true ;;
  *) fail "unknown argument: $1 (there is only --fast)" ;;
esac

current=
on_exit() {
  local status=$?
  if [ "$status" -ne 0 ]; then
    say
    say "FAILED: ${current:-tests/run.sh} (status $status)"
  fi
}
trap on_exit EXIT

# step NAME COMMAND...
step() {
  current=$1
  shift
  say "== $current"
  "$@"
}

install_tools() {
  need_rust
  need_rust_component rustfmt
  need_rust_component clippy
  need_linker
  need_node
  need_shellcheck
  need_actionlint
  need_ip
  need_kubernetes_tools
  if ! $fast; then
    # The tests start `chromium` by this name, with settings of their own.
    need_debian_chromium
    need_chromedriver
    need_k6
    need_jaeger
    need_go_sdk_server
    need_otelcol
    need_buildah
    need_podman
    need_debian_root >/dev/null
  fi
}

check_scripts() {
  find . \( -name target -o -name node_modules -o -name .git \) -prune -o -type f \
    \( -name '*.sh' -o -path './.ci/run' -o -path ./install/image/k6 \) -print0 |
    xargs -0 shellcheck --external-sources
}

# Runs all test targets except flow, which drives a browser and keeps the machine busy.
test_without_browser() {
  local names name
  local -a targets=()
  names=$(list_test_targets)
  for name in $names; do
    if [ "$name" != flow ]; then targets+=(--test "$name"); fi
  done
  timeout 25m cargo test --locked --workspace --lib --bins --examples "${targets[@]}"
  timeout 15m cargo test --locked --workspace --doc
}

test_in_browser() {
  timeout 45m cargo test --locked --test flow -- --nocapture --test-threads=2
}

list_test_targets() {
  cargo metadata --locked --no-deps --format-version 1 | node -e '
    const { packages } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    for (const { name, kind } of packages.flatMap((p) => p.targets)) {
      if (kind.includes("test")) console.log(name);
    }'
}

step "tools" install_tools
step "npm packages" quietly npm ci --ignore-scripts --no-audit --no-fund
step "format of the Rust code" cargo fmt --check
step "clippy" cargo clippy --locked --workspace --all-targets -- -D warnings
step "types of the extension" npm run --silent check
step "lint of the extension" npm run --silent lint
step "shell scripts" check_scripts
step "workflows" actionlint
step "tests of the extension" npm --silent test
step "manifests for Kubernetes" tests/kubernetes/run.sh
step "tests that need no browser" test_without_browser
if $fast; then
  say
  say "Everything passed but the browser tests, which --fast leaves out."
else
  step "tests in the browser" test_in_browser
  # The one optimized build serves all of the following.
  target=$(uname -m)-unknown-linux-musl
  step "a release" install/release.sh --allow-dirty --target "$target"
  step "the release in bare systems" tests/release.sh
  tarball=$(echo "dist/navtrace-"*"-$target.tar.gz")
  step "the demo" install/demo.sh --binary "$tarball"
  step "the container image" tests/image/run.sh --binary "$tarball"
  say
  say "Everything passed."
fi
