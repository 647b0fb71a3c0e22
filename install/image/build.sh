#!/usr/bin/env bash
# Builds the container image from Debian's packages and this checkout, without a daemon and without a registry for images.
# The image is what Containerfile says; this script only makes what that takes from elsewhere: Debian, k6, and navtrace.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: install/image/build.sh [--binary FILE] [--output FILE] [--tag NAME]

Builds an image with Chromium, k6 and navtrace by buildah, as root or with sudo. It is then in the storage that podman uses.

  --binary FILE  this navtrace, instead of one that is built
  --output FILE  also writes the image as an OCI archive, such as dist/navtrace-image.tar, for `podman load`,
                 `docker load` or `skopeo copy`
  --tag NAME     its name, instead of localhost/navtrace:VERSION
  --help         shows this
TEXT
}

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
binary=
output=
tag=localhost/navtrace:$version
while [ $# -gt 0 ]; do
  case $1 in
    --binary | --output | --tag)
      [ -n "${2:-}" ] || fail "$1 needs a value"
      case $1 in
        --binary) binary=$(realpath "$2") ;;
        --output) output=$(realpath -m "$2") ;;
        --tag) tag=$2 ;;
      esac
      shift 2
      ;;
    --help | -h) usage && exit ;;
    *) usage >&2 && fail "unknown argument: $1" ;;
  esac
done
[ -z "$binary" ] || [ -x "$binary" ] || fail "this is no program: $binary"

if [ -z "$binary" ]; then
  need_rust
  need_linker
  say "Building navtrace"
  cargo build --quiet --manifest-path "$root/Cargo.toml" --release --locked --bin navtrace
  binary=$(target_dir)/release/navtrace
fi
# The image has files of root.
[ "$(id -u)" -eq 0 ] ||
  restart_as_root "$root/install/image/build.sh" --binary "$binary" --tag "$tag" ${output:+--output "$output"}

need_buildah
# It warns of networks that are not needed.
buildah() {
  command buildah --log-level error "$@"
}
debian=$(need_debian_root)

scratch=$(mktemp -d)
container=
# shellcheck disable=SC2317 # called by the trap
remove() {
  if [ -n "$container" ]; then buildah rm "$container" >/dev/null; fi
  rm -rf "$scratch"
}
trap remove EXIT

# The bare Debian is an image of its own, which is made once.
base=localhost/navtrace-base:$(basename "$debian")
if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
  say "Making an image of the bare Debian (once)"
  container=$(buildah from scratch)
  cp -a "$debian/." "$(buildah mount "$container")"
  buildah umount "$container" >/dev/null
  quietly buildah commit --rm "$container" "$base"
  container=
fi

say "Building the image $tag"
install -D "$binary" "$scratch/navtrace/out/navtrace"
install -D "$debian/usr/local/bin/k6" "$scratch/k6/out/k6"
# Without a namespace of its own for the network, which would need more rights, and with no process that stays.
quietly buildah bud --isolation chroot --pull-never --build-arg "BASE=$base" \
  --build-context "k6=$scratch/k6" --build-context "navtrace=$scratch/navtrace" \
  --label "org.opencontainers.image.title=navtrace" --label "org.opencontainers.image.version=$version" \
  --label "org.opencontainers.image.licenses=Apache-2.0" \
  --tag "$tag" --file "$root/install/image/Containerfile" "$root"
if [ -n "$output" ]; then
  mkdir -p "$(dirname "$output")"
  rm -f "$output"
  quietly buildah push "$tag" "oci-archive:$output:$tag"
  say "The image is in $output"
fi
