import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { ChoicesForm } from '../../extension/popup/choices.js';
import { fakeDocument } from './support/form.js';
import { AS_CONFIGURED } from './support/popup.js';

const HTML = readFileSync(new URL('../../extension/popup/popup.html', import.meta.url), 'utf8');

/** Shows the form for a choice. @param {string[] | null} resources */
function shown(resources) {
  const find = fakeDocument();
  /** @type {any[]} */
  const sent = [];
  const form = new ChoicesForm((command) => void sent.push(command));
  /** @param {string[] | null} chosen */
  const show = (chosen) =>
    form.show(
      /** @type {any} */ ({
        host: { state: 'connected', version: '0.1.0', reason: null },
        chosen: { ...AS_CONFIGURED, ratio: 0.5, resources: chosen },
        configured: { ratio: 1, parentBased: true, targets: [], exclude: [], resources: ['calls', 'image'] },
      }),
    );
  show(resources);
  return { find, sent, form, show };
}

test('the form offers all requests, calls, and what is configured', () => {
  const select = /<select id="resources".*?<\/select>/s.exec(HTML)?.[0] ?? '';
  assert.deepEqual([...select.matchAll(/<option[^>]* value="([^"]*)"|<option value="([^"]*)"/g)].map(([, a, b]) => a ?? b), ['', 'all', 'calls']);
});

test('the choice of resources is shown', () => {
  const { find, show } = shown(['calls']);
  assert.equal(find('resources').value, 'calls');
  assert.equal(find('resources-configured').textContent, 'As configured (calls, image)');
  show(null);
  assert.equal(find('resources').value, '');
});

test('a choice of resources is sent with the other choices', () => {
  const { find, sent } = shown(null);
  for (const value of ['calls', 'all', '']) {
    find('resources').value = value;
    find('resources').fire('change');
  }
  const others = { type: 'choose', ratio: 0.5, targets: null };
  assert.deepEqual(sent, [['calls'], ['all'], null].map((resources) => ({ ...others, resources })));
});

test('a refused choice of resources is shown beside it', () => {
  const { find, form } = shown(null);
  find('resources').value = 'calls';
  find('resources').fire('change');
  form.refuse('no');
  assert.equal(find('resources-error').textContent, 'no');
  assert.equal(find('resources').getAttribute('aria-invalid'), 'true');
  assert.equal(find('sampling').getAttribute('aria-invalid'), null);
  find('resources').fire('change');
  assert.deepEqual([find('resources-error').textContent, find('resources').getAttribute('aria-invalid')], ['', null]);
});
