// Makes the one script of the page that is instrumented with OpenTelemetry's SDK for the web: bundle.mjs OUT
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

await build({
  entryPoints: [fileURLToPath(new URL('page.js', import.meta.url))],
  outfile: process.argv[2],
  bundle: true,
  format: 'iife',
  platform: 'browser',
  target: 'es2022',
  logLevel: 'warning',
});
