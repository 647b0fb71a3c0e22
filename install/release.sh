#!/usr/bin/env bash
# Makes the files of a release from this checkout: for each target a static binary in a .tar.gz and a .deb, a list of what is in them
# (SBOM), and checksums. The same commit and toolchain give the same files.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: install/release.sh [--target TARGET]... [--profile PROFILE] [--output DIR] [--allow-dirty]

Builds navtrace for x86_64 and aarch64, with musl instead of glibc, so that the binary runs on any Linux. DIR then holds

  navtrace-VERSION-TARGET.tar.gz   the binary, man pages, completions, README, docs, examples, LICENSE
  navtrace_VERSION_ARCH.deb        the same as a Debian package
  navtrace-VERSION-TARGET.cdx.json what the binary is made of (SBOM, CycloneDX)
  SHA256SUMS                       checksums of all of them

  --target TARGET    only this one: x86_64-unknown-linux-musl or aarch64-unknown-linux-musl; can be repeated
  --profile PROFILE  Cargo's profile, instead of release
  --output DIR       instead of dist, beside README.md; files of an earlier release there are removed
  --allow-dirty      also from a checkout with changes that are not committed
  --help             shows this
TEXT
}

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

targets=()
profile=release
output=$root/dist
allow_dirty=false
while [ $# -gt 0 ]; do
  case $1 in
    --target | --profile | --output)
      [ -n "${2:-}" ] || fail "$1 needs a value"
      case $1 in
        --target) targets+=("$2") ;;
        --profile) profile=$2 ;;
        --output) output=$2 ;;
      esac
      shift 2
      ;;
    --allow-dirty) allow_dirty=true && shift ;;
    --help | -h) usage && exit ;;
    *) usage >&2 && fail "unknown argument: $1" ;;
  esac
done
[ ${#targets[@]} -gt 0 ] || targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl)
for target in "${targets[@]}"; do
  case $target in
    x86_64-unknown-linux-musl | aarch64-unknown-linux-musl) ;;
    *) fail "unknown target: $target (there are x86_64-unknown-linux-musl and aarch64-unknown-linux-musl)" ;;
  esac
done

mkdir -p "$output"
output=$(cd "$output" && pwd)
cd "$root"
changes=$(git status --porcelain) || fail "this is not a checkout of git: $root"
if [ -n "$changes" ]; then
  $allow_dirty || fail "there are changes that are not committed: commit them, or use --allow-dirty
$changes"
  say "This release has changes that are not committed."
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
umask 022

# The target's name for Debian.
debian_architecture() {
  case $1 in
    x86_64-*) printf 'amd64\n' ;;
    aarch64-*) printf 'arm64\n' ;;
  esac
}

# The forge puts a dot in the place of a `~` in the name of a file.
package_name() {
  printf 'navtrace_%s_%s.deb\n' "${version/-/.}" "$(debian_architecture "$1")"
}

built_binary() {
  local folder=$profile
  if [ "$profile" = dev ]; then folder=debug; fi
  printf '%s/%s/%s/navtrace\n' "$(target_dir)" "$1" "$folder"
}

# Builds all targets. The folders of Cargo and Rust get other names in the binary, so that it does not depend on where it was built.
build() {
  local target compiler sources flags='-Clinker=rust-lld'
  local -a variables=() arguments=()
  for target in "${targets[@]}"; do
    need_rust_target "$target"
    # For the assembler and C code of a dependency (ring), which needs no C library. Rust brings the linker and musl.
    compiler=${target%%-*}-linux-gnu-gcc
    have "$compiler" || apt_install "gcc-$(tr _ - <<<"${compiler%-gcc}")"
    # Some compilers check buffers by functions that musl does not have.
    variables+=("CC_${target//-/_}=$compiler" "CFLAGS_${target//-/_}=-U_FORTIFY_SOURCE")
    arguments+=(--target "$target")
  done
  quietly cargo fetch --locked "${arguments[@]}"
  for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags+=$'\x1f'"--remap-path-prefix=$sources=/cargo"
  done
  flags+=$'\x1f'"--remap-path-prefix=$(rustc --print sysroot)=/rust"
  say "Building navtrace $version for ${targets[*]}"
  env "${variables[@]}" CARGO_ENCODED_RUSTFLAGS="$flags" \
    cargo build --quiet --locked --profile "$profile" "${arguments[@]}" --bin navtrace
}

# Lists the crates in the binary for TARGET, with their licences and which needs which, as a CycloneDX document.
bill_of_materials() {
  local target=$1
  cargo tree --locked --target "$target" --edges normal,no-proc-macro --prefix depth --format '|{p}|{l}|' |
    awk -F '|' -v version="$version" -v date="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" \
      -v rust="$(rustc --version | cut -d ' ' -f 2)" '
      function reference(text, part) { split(text, part, " "); return part[1] "@" substr(part[2], 2) }
      function component(type, id, licences, hash, part) {
        split(id, part, "@")
        return sprintf("{\"type\":\"%s\",\"bom-ref\":\"%s\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"pkg:cargo/%s\"%s%s}", type, id,
          part[1], part[2], id, hash, licences == "" ? "" : ",\"licenses\":[{\"expression\":\"" licences "\"}]")
      }
      # Cargo.lock, for the checksums.
      FILENAME == "Cargo.lock" {
        split($0, field, "\"")
        if (/^name = /) name = field[2]
        if (/^version = /) id = name "@" field[2]
        if (/^checksum = /) hashes[id] = ",\"hashes\":[{\"alg\":\"SHA-256\",\"content\":\"" field[2] "\"}]"
        next
      }
      {
        id = reference($2)
        above[$1] = id
        if (!(id in licences)) { order[++count] = id; gsub(" */ *", " OR ", $3); licences[id] = $3 }
        if ($1 > 0 && !seen[above[$1 - 1], id]++) {
          needed = above[$1 - 1]
          needs[needed] = needs[needed] (needs[needed] == "" ? "" : ",") "\"" id "\""
        }
      }
      END {
        printf "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\",\"version\":1,\"metadata\":{\"timestamp\":\"%s\",\"component\":%s},\n", date,
          component("application", order[1], licences[order[1]])
        # Comes with the compiler, together with musl.
        printf "\"components\":[\n{\"type\":\"library\",\"bom-ref\":\"rust-std\",\"name\":\"rust-std\",\"version\":\"%s\"}", rust
        for (i = 2; i <= count; i++) printf ",\n%s", component("library", order[i], licences[order[i]], hashes[order[i]])
        printf "],\n\"dependencies\":[\n"
        needs[order[1]] = needs[order[1]] ",\"rust-std\""
        for (i = 1; i <= count; i++) printf "{\"ref\":\"%s\",\"dependsOn\":[%s]},\n", order[i], needs[order[i]]
        print "{\"ref\":\"rust-std\"}]}"
      }' Cargo.lock -
}

# Collects the texts that the README leads to, and fills a folder with man pages and completions. Where no target is this machine's, a program is built for it.
make_documents() {
  local folder=$1 target program=
  for target in "${targets[@]}"; do
    if "$(built_binary "$target")" --version >/dev/null 2>&1; then program=$(built_binary "$target"); fi
  done
  if [ -z "$program" ]; then
    say "Building navtrace for this machine, for man pages and completions"
    cargo build --quiet --locked --bin navtrace
    program=$(target_dir)/debug/navtrace
  fi
  mkdir "$folder/completions" "$staging/texts"
  git ls-files -z -- ':(glob)*.md' docs examples | xargs -0 cp --parents -t "$staging/texts"
  "$program" man "$folder/man/man1"
  "$program" completions bash >"$folder/completions/navtrace.bash"
  "$program" completions zsh >"$folder/completions/_navtrace"
  "$program" completions fish >"$folder/completions/navtrace.fish"
}

pack_tarball() {
  local target=$1 name=navtrace-$version-$1
  mkdir "$staging/$name"
  install -m 755 "$(built_binary "$target")" "$staging/$name/navtrace"
  cp -R LICENSE "$staging/texts/." "$staging/documents/." "$staging/$name"
  tar --create --directory "$staging" --format=gnu --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
    "$name" | gzip -9n >"$output/$name.tar.gz"
}

pack_deb() {
  local target=$1 architecture tree=$staging/deb-$1 share page
  architecture=$(debian_architecture "$target")
  share=$tree/usr/share
  mkdir -p "$tree/DEBIAN" "$tree/usr/bin" "$share/man/man1" "$share/doc/navtrace" "$share/bash-completion/completions" \
    "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d"
  install -m 755 "$(built_binary "$target")" "$tree/usr/bin/navtrace"
  ln -s navtrace "$tree/usr/bin/navtrace-chromium"
  for page in "$staging"/documents/man/man1/*.1; do gzip -9nc "$page" >"$share/man/man1/${page##*/}.gz"; done
  cp "$staging/documents/completions/navtrace.bash" "$share/bash-completion/completions/navtrace"
  cp "$staging/documents/completions/_navtrace" "$share/zsh/vendor-completions/"
  cp "$staging/documents/completions/navtrace.fish" "$share/fish/vendor_completions.d/"
  cp -R "$staging/texts/." "$share/doc/navtrace/"
  cp LICENSE "$share/doc/navtrace/copyright"
  gzip -9nc CHANGELOG.md >"$share/doc/navtrace/changelog.gz"
  (cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
  # The binary is static, so it depends on nothing. A newer version follows a pre-release, as `~` says.
  cat >"$tree/DEBIAN/control" <<TEXT
Package: navtrace
Version: ${version/-/\~}
Architecture: $architecture
Section: web
Priority: optional
Maintainer: The navtrace authors <navtrace@localhost>
Installed-Size: $(du -sk --apparent-size "$tree/usr" | cut -f 1)
Recommends: chromium | google-chrome-stable, ca-certificates
Description: trace context on every request of a browser test
 Makes every request of a Chromium that a test drives carry W3C trace context,
 with no change to the test, and exports the browser's own spans over OTLP.
 .
 navtrace run -- k6 run script.js
TEXT
  find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$output/$(package_name "$target")" >&2
}

have dpkg-deb || apt_install dpkg
have gzip || apt_install gzip
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
mkdir "$staging/documents"
build
make_documents "$staging/documents"
rm -f "$output"/navtrace-*-unknown-linux-musl.{tar.gz,cdx.json} "$output"/navtrace_*_{amd64,arm64}.deb "$output/SHA256SUMS"
for target in "${targets[@]}"; do
  pack_tarball "$target"
  pack_deb "$target"
  bill_of_materials "$target" >"$output/navtrace-$version-$target.cdx.json"
done
(
  cd "$output"
  sha256sum navtrace-*-unknown-linux-musl.* navtrace_*.deb >SHA256SUMS
  say "The release is in $output:"
  du -h --apparent-size -- navtrace-*-unknown-linux-musl.* navtrace_*.deb SHA256SUMS >&2
)
