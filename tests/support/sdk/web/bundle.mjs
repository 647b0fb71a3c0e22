// Bundles a script, page.js unless another is named, with OpenTelemetry's web SDK, and writes it to standard output.
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const { outputFiles } = await build({
  entryPoints: [process.argv[2] ?? fileURLToPath(new URL('page.js', import.meta.url))],
  write: false,
  bundle: true,
  format: 'iife',
  platform: 'browser',
  target: 'es2022',
  logLevel: 'warning',
});
process.stdout.write(outputFiles[0].contents);
