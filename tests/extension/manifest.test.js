import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

/** @type {chrome.runtime.ManifestV3 & { key: string }} */
const manifest = JSON.parse(readFileSync(new URL('../../extension/manifest.json', import.meta.url), 'utf8'));

test('the key leads to the id that the host accepts', () => {
  const digest = createHash('sha256').update(Buffer.from(manifest.key, 'base64')).digest('hex').slice(0, 32);
  const id = digest.replace(/./g, (digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)));
  assert.equal(id, 'aalhdoofknlgjgclnnkjbegphicaohme');
});

test('web pages have no access to the extension', () => {
  for (const key of ['externally_connectable', 'web_accessible_resources']) assert.ok(!(key in manifest), key);
});

test('no content script runs unless it is registered', () => {
  assert.equal(manifest.content_scripts, undefined);
});

test('browsers without what the extension uses do not load it', () => {
  const needed = [
    // `URL.parse`, in the popup.
    126,
    // `field-sizing`, on the options page.
    123,
  ];
  assert.equal(Number(manifest.minimum_chrome_version), Math.max(...needed));
});
