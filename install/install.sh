#!/usr/bin/env bash
# Installs navtrace for one user or for all: the program, the link navtrace-chromium beside it, and its registration with the browsers
# that are here.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: install/install.sh [--prefix DIR] [--binary FILE] [--system] [--no-browser]

Builds navtrace and puts it into DIR/bin, with a link navtrace-chromium beside it. Then registers it with the browsers
that are found here (navtrace install), so that the extension can be loaded there.

  --prefix DIR    instead of $PREFIX, or else ~/.local
  --binary FILE   takes this program, or the one in this .tar.gz of a release, instead of building one
  --system        for all users: DIR is /usr/local, unless it is given
  --no-browser    registers with no browser
  --help          shows this
TEXT
}

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

prefix=${PREFIX:-}
binary=
system=
register=yes
while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --binary)
      [ -n "${2:-}" ] || fail "$1 needs a value"
      if [ "$1" = --prefix ]; then prefix=$2; else binary=$2; fi
      shift 2
      ;;
    --prefix=*) prefix=${1#*=} && shift ;;
    --binary=*)
      binary=${1#*=}
      [ -n "$binary" ] || fail "--binary needs a value"
      shift
      ;;
    --system) system=--system && shift ;;
    --no-browser) register= && shift ;;
    --help | -h) usage && exit ;;
    *) usage >&2 && fail "unknown argument: $1" ;;
  esac
done
prefix=${prefix:-$(default_prefix "$system")}

unpacked=
program=
link=
# What is put in place is complete under a temporary name first, so a browser that starts meanwhile finds the old one or the new one.
trap 'rm -rf ${unpacked:+"$unpacked"} ${program:+"$program.new.$$"} ${link:+"$link.new.$$"}' EXIT
case $binary in *.tar.gz) unpacked=$(mktemp -d) ;; esac
if [ -n "$binary" ]; then
  binary=$(release_program "$binary" "$unpacked")
else
  need_rust
  have cc || fail "a C compiler is missing, Rust links with it: please install gcc"
  say "Building navtrace"
  (cd "$root" && cargo build --quiet --release --locked --bin navtrace)
  binary=$(target_dir)/release/navtrace
fi

if [ -n "$system" ]; then
  # Lets all users read the files, whatever root's umask is.
  umask 022
fi
mkdir -p "$prefix/bin"
bin=$(cd "$prefix/bin" && pwd)
program=$bin/navtrace
link=$bin/navtrace-chromium
if [ -d "$program" ]; then
  fail "$program is a directory"
fi
if { [ -e "$link" ] || [ -L "$link" ]; } && ! is_our_link "$link"; then
  fail "$link exists and is not a link to navtrace: please move it away"
fi

cp "$binary" "$program.new.$$"
chmod 755 "$program.new.$$"
# A working program is replaced only by one that works here.
case $("$program.new.$$" --version 2>/dev/null || true) in
  "navtrace "*) ;;
  *) fail "not a navtrace that runs on this machine: $binary" ;;
esac
mv -f "$program.new.$$" "$program"
ln -s navtrace "$link.new.$$"
mv -f "$link.new.$$" "$link"

say "Installed $program"
say "      and $link, to be given to a client as its browser"
case ":$PATH:" in
  *":$bin:"*) say "Try: navtrace run -- k6 run script.js" ;;
  *)
    say "$bin is not on your PATH. To add it:"
    say "  export PATH=\"$bin:\$PATH\""
    ;;
esac

[ -n "$register" ] || exit 0
say
status=0
"$program" install ${system:+"$system"} || status=$?
# navtrace run needs no registration, so this much is done.
if [ "$status" -eq 127 ]; then
  say "navtrace run works all the same; $program install registers with a browser later."
  status=0
fi
exit "$status"
