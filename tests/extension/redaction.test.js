// Tests that secrets are removed from addresses as the host removes them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { redactor } from '../../extension/context/redaction.js';

const { names, addresses } = JSON.parse(readFileSync(new URL('../fixtures/redaction.json', import.meta.url), 'utf8'));

test('secrets are replaced and nothing else', () => {
  const redacted = redactor(names);
  for (const [address, expected] of addresses) assert.equal(redacted(address), expected);
});

test('without names every value is hidden', () => {
  assert.equal(redactor(null)('http://me@a.test/p;v=1?q=1&b&c=#d=2'), 'http://REDACTED@a.test/p;v=REDACTED?q=REDACTED&b&c=#d=REDACTED');
});
