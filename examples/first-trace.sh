#!/bin/sh
# From a release's file to a first trace, as a new user does it on a system that has Chromium and k6. No root, no installation.
#
#   examples/first-trace.sh navtrace-VERSION-x86_64-unknown-linux-musl.tar.gz http://a.site.of.yours/
#
# Works in the current folder. tests/release.sh runs it in a bare Debian and in a system like Alpine.
set -eu
if [ $# -ne 2 ]; then
  echo "usage: first-trace.sh NAVTRACE.tar.gz URL" >&2
  exit 2
fi
started=$(date +%s)

# 1. Unpack navtrace. The program in it is all that is needed.
tar -xzf "$1"
navtrace=./$(basename "$1" .tar.gz)/navtrace

# 2. Have a test. This one opens a page; it knows nothing of navtrace.
cat >first-trace.js <<'JS'
import { browser } from 'k6/browser';

export const options = {
  scenarios: { page: { executor: 'shared-iterations', options: { browser: { type: 'chromium' } } } },
};

export default async function () {
  const page = await browser.newPage();
  await page.goto(__ENV.SITE, { waitUntil: 'networkidle' });
  await page.close();
}
JS

# 3. Run it, traced.
SITE=$2 "$navtrace" run --output first-trace.jsonl -- k6 run --quiet first-trace.js

# 4. Look at the trace, here or as a page: first-trace.html.
"$navtrace" view first-trace.jsonl

echo "From the file to a trace in $(($(date +%s) - started)) s." >&2
