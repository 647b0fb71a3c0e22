#!/usr/bin/env bash
# Removes what install.sh put in place, and nothing that is not navtrace's.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: install/uninstall.sh [--prefix DIR] [--system]

Takes back navtrace's registrations (navtrace uninstall), and removes navtrace and navtrace-chromium from DIR/bin.

  --prefix DIR    instead of $PREFIX, or else ~/.local
  --system        removes the installation for all users: DIR is /usr/local, unless it is given
  --help          shows this
TEXT
}

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

prefix=${PREFIX:-}
system=
while [ $# -gt 0 ]; do
  case $1 in
    --prefix)
      [ -n "${2:-}" ] || fail "$1 needs a value"
      prefix=$2
      shift 2
      ;;
    --prefix=*) prefix=${1#*=} && shift ;;
    --system) system=--system && shift ;;
    --help | -h) usage && exit ;;
    *) usage >&2 && fail "unknown argument: $1" ;;
  esac
done
prefix=${prefix:-$(default_prefix "$system")}

program=$prefix/bin/navtrace
link=$prefix/bin/navtrace-chromium
status=0

# By the link beside it, or by what it says of itself.
program_is_ours() {
  [ -f "$program" ] || return 1
  is_our_link "$link" && return
  case $("$program" --version 2>/dev/null) in
    "navtrace "*) return 0 ;;
    *) return 1 ;;
  esac
}

remove() {
  rm -f "$1"
  say "Removed $1"
}

leave() {
  if [ -e "$1" ] || [ -L "$1" ]; then
    say "Left $1: it is not navtrace's"
    status=1
  else
    say "Not there: $1"
  fi
}

if program_is_ours; then
  # Only the program knows what it has registered, so it goes last. Earlier versions registered nothing.
  if "$program" uninstall --help >/dev/null 2>&1; then
    told=$("$program" uninstall ${system:+"$system"}) || status=$?
    if [ "$status" -gt 1 ] || { [ "$status" -eq 1 ] && [ -z "$told" ]; }; then
      # Nothing was done: somebody else has to do it, for instance.
      fail "$program is left, since its registrations could not be taken back"
    fi
    printf '%s\n' "$told"
  fi
  remove "$program"
else
  leave "$program"
fi
if is_our_link "$link"; then
  remove "$link"
else
  leave "$link"
fi
exit "$status"
