#!/usr/bin/env bash
# Checks what install/release.sh has made for this machine, and uses it where nothing else of navtrace is: as a user of a bare Debian, and
# of a system like Alpine, made of busybox alone.
#
#   tests/release.sh [DIST]
set -euo pipefail

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../install/lib.sh"
cd "$root"

dist=$(cd "${1:-dist}" && pwd)
target=$(uname -m)-unknown-linux-musl
tarballs=("$dist"/navtrace-*-"$target.tar.gz")
tarball=${tarballs[0]}
[ -f "$tarball" ] || fail "there is no release for $target in $dist: install/release.sh makes one"
name=$(basename "$tarball" .tar.gz)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
release=$scratch/release
mkdir "$release"
cp "$tarball" "$dist"/navtrace_*_"$(dpkg --print-architecture)".deb examples/first-trace.sh "$release"
# Users of the systems read it.
chmod 755 "$scratch"

# expect WHAT COMMAND...
expect() {
  local what=$1
  shift
  "$@" || fail "does not hold: $what"
}

# same WHAT EXPECTED ACTUAL
same() {
  diff --label expected --label actual <(printf '%s\n' "$2") <(printf '%s\n' "$3") >&2 || fail "does not hold: $1"
}

# contains TEXT PATTERN
contains() {
  grep -q -e "$2" <<<"$1" && return
  fail "no line matches $2 in: $1"
}

# dead_links FOLDER: prints the links of its README and docs to files that are not there.
dead_links() {
  local file link
  for file in "$1/README.md" "$1"/docs/*.md "$1"/examples/*.md "$1"/examples/*/*.md; do
    grep -oE '\]\([^):#]+[)#]' "$file" | sed 's/^](//; s/.$//' | while read -r link; do
      [ -e "${file%/*}/$link" ] || printf '%s: %s\n' "${file#"$1/"}" "$link"
    done
  done
}

check_files() {
  local program=$scratch/$name/navtrace
  say "- the files"
  tar -xzf "$tarball" -C "$scratch"
  (cd "$dist" && quietly sha256sum --check --strict SHA256SUMS)
  same "every file has a checksum" "$(cd "$dist" && find . -type f ! -name SHA256SUMS ! -name navtrace-image.tar -printf '%P\n' | sort)" \
    "$(cut -c 67- "$dist/SHA256SUMS" | sort)"
  same "the tarball has all parts" \
    "$({ git ls-files -- ':(glob)*.md' docs examples && printf '%s\n' LICENSE completions/{_navtrace,navtrace.bash,navtrace.fish} \
      man/man1/navtrace.1 navtrace; } | sort)" \
    "$(tar -tzf "$tarball" | cut -d / -f 2- | grep -v -e '/$' -e '^$' -e '/navtrace-[a-z]*\.1$' | sort)"
  same "no link in the README or the docs is dead" "" "$(dead_links "$scratch/$name")"
  same "the tarball names no user of this machine" "0/0" "$(tar --numeric-owner -tvzf "$tarball" | awk '{ print $2 }' | sort -u)"
  same "the binary needs no library" "" "$(readelf --dynamic --wide "$program" | grep NEEDED)"
  same "the binary needs no loader" "" "$(readelf --program-headers --wide "$program" | grep INTERP)"
  same "the binary names no folder of this machine" "" \
    "$(grep -a -o -m 3 -F -e "$root/" -e "${CARGO_HOME:-$HOME/.cargo}" -e "$(rustc --print sysroot)" "$program")"
  same "the list of parts has every dependency, and no other" "$(cargo tree --locked --target "$target" \
    --edges normal,no-proc-macro --prefix none --format '{p}' | sed 's/ (.*//; s/ v/@/' | sort -u)" "$(parts "$dist/$name.cdx.json" | sort)"
}

# Prints the parts that a CycloneDX document lists, all but the standard library, and fails if it names others as needed.
parts() {
  # shellcheck disable=SC2016 # of JavaScript
  node -e '
    const { components, dependencies, metadata } = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
    const all = [metadata.component, ...components].map((component) => component["bom-ref"]);
    for (const { ref, dependsOn = [] } of dependencies) {
      for (const name of [ref, ...dependsOn]) if (!all.includes(name)) throw new Error(`${name} is not listed`);
    }
    console.log(all.filter((name) => name !== "rust-std").join("\n"))' "$1"
}

# in_system FOLDER SCRIPT: runs a shell script as root of the system in FOLDER, with the release in /mnt/release.
in_system() {
  tests/support/in-system.sh --bind "$release:/mnt/release" "${binds[@]}" "$1" sh -euc "$2"
}
binds=()

# first_trace FOLDER PREPARATION: has a new user of the system take the steps of first-trace.sh, within a minute, beside the demo shop, and
# compares what navtrace says with what the shop received.
first_trace() {
  local said
  export SHOP SCRATCH=$scratch
  SHOP=$(target_dir)/debug/examples/shop
  said=$(install/demo-shop.sh tests/support/in-system.sh --bind "$release:/mnt/release" "${binds[@]}" "$1" sh -euc "$2
    su newcomer -c 'cd && timeout 60 sh /mnt/release/first-trace.sh /mnt/release/$name.tar.gz \"\$SITE/\"'" 2>&1) ||
    fail "there is no trace: $said"
  same "the traces that navtrace names are those that the shop received" "$(grep -o '^[0-9a-f]\{32\}' "$scratch/received")" \
    "$(sed -n 's/^navtrace:   \([0-9a-f]\{32\}\) .*/\1/p' <<<"$said")"
  contains "$(<"$scratch/received")" '; without a traceparent: 0, with an invalid one: 0$'
  contains "$said" 'GET /api/products .*browser'
  say "  $(tail -n 1 <<<"$said")"
}

check_debian() {
  local debian
  debian=$(need_debian_root)
  say "- the tarball, as a user of a bare Debian"
  first_trace "$debian" 'useradd --create-home newcomer'
  say "- the Debian package"
  # shellcheck disable=SC2016 # expanded there
  in_system "$debian" '
    dpkg -i /mnt/release/*.deb >/dev/null
    dpkg --verify navtrace
    test "$(navtrace --version | tr - "~")" = "navtrace $(dpkg-query -W -f "\${Version}" navtrace)"
    NAVTRACE_BROWSER=echo navtrace-chromium --headless | grep -q -e --headless
    test -s /usr/share/bash-completion/completions/navtrace -a -s /usr/share/man/man1/navtrace-run.1.gz
    dpkg -r navtrace >/dev/null
    test ! -e /usr/bin/navtrace -a ! -e /usr/share/doc/navtrace'
}

# Makes a system like Alpine: everything is busybox, and there is no glibc.
make_busybox_system() {
  local system=$1 applet
  mkdir -p "$system"/{bin,etc,home/newcomer,root,tmp,usr/bin,usr/lib,usr/share,lib}
  cp /bin/busybox "$system/bin/busybox"
  for applet in $(/bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$system/bin/$applet"; done
  printf 'root:x:0:0::/root:/bin/sh\nnewcomer:x:1000:1000::/home/newcomer:/bin/sh\n' >"$system/etc/passwd"
  printf 'root:x:0:\nnewcomer:x:1000:\n' >"$system/etc/group"
  chmod 1777 "$system/tmp"
  as_root chown 1000:1000 "$system/home/newcomer"
}

# Commands that need no browser, in a system of busybox: a span that is sent to the collector is shown.
commands_in_busybox() {
  cat <<'SCRIPT'
cd /tmp
tar -xzf /mnt/release/*.tar.gz
PATH=$PATH:$(echo /tmp/navtrace-*)
test ! -e /lib64
navtrace --version
navtrace config >/dev/null
navtrace doctor >report || test $? -eq 1
grep -q '^FAIL  browser  .* no Chromium was found' report
grep -q '^ok    host .*starts and answers' report
cat >spans.json <<'JSON'
{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"tester"}}]},"scopeSpans":[{"spans":[
{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"a step","kind":1,
"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000001000000000"}]}]}]}
JSON
export send='wget -q -O- --header content-type:application/json --post-file spans.json $OTEL_EXPORTER_OTLP_ENDPOINT/v1/traces'
navtrace run --browser echo --output run.jsonl -- sh -c "$send" >/dev/null
navtrace view run.jsonl | grep -q 'a step .*tester'
navtrace collect --listen 127.0.0.1:4399 --output collected.jsonl 2>words &
for i in $(seq 100); do ! grep -q 4399 words || break; sleep 0.1; done
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4399 sh -c "$send" >/dev/null
kill -INT $!
wait $! || test $? -eq 130
navtrace view collected.jsonl | grep -q 'a step .*tester'
SCRIPT
}

check_busybox() {
  local system=$scratch/busybox
  need_static_busybox
  make_busybox_system "$system"
  say "- commands without a browser, in a system of busybox"
  in_system "$system" "$(commands_in_busybox)"
  # Debian has no Chromium for musl. Its own one, with the libraries that it needs, stands in.
  say "- the tarball, as a user of a system of busybox, with the Chromium of a Debian in /opt/debian"
  binds=(--bind "$(need_debian_root):/opt/debian")
  # shellcheck disable=SC2016 # expanded there
  first_trace "$system" '
    libraries=$(uname -m)-linux-gnu
    for part in "lib/$libraries" "usr/lib/$libraries" usr/lib/chromium usr/share/fonts etc/fonts etc/ssl; do
      ln -s "/opt/debian/$part" "/$part"
    done
    # The loader, which is elsewhere on each kind of machine.
    for part in lib64 lib/ld-linux-aarch64.so.1; do
      [ ! -e "/opt/debian/$part" ] || ln -s "/opt/debian/$part" "/$part"
    done
    ln -s /opt/debian/usr/local/bin/k6 /opt/debian/usr/lib/chromium/chromium /usr/bin/'
}

quietly cargo build --locked --example shop
check_files
check_debian
check_busybox
say "The release works."
