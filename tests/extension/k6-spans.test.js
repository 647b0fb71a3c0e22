import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { IncognitoTabs } from '../../extension/context/incognito.js';
import { Documents } from '../../extension/observe/documents.js';
import { readK6Spans, watchK6Spans } from '../../extension/observe/k6-spans.js';
import { fakeChrome } from './support/chrome.js';

const CONTEXT = { spanId: 'a'.repeat(16), flags: '01' };
const K6 = '2414c1bd20a31a81';
const TAB = 7;
/** A tab in an Incognito window. */
const HIDDEN = 9;

/** @type {ReturnType<typeof fakeChrome>} */
let browser;
/** @type {any[]} */
let observed;
/** @type {Promise<void>} */
let known;
let pages = 0;

beforeEach(() => {
  mock.reset();
  browser = fakeChrome();
  observed = [];
  known = Promise.resolve();
  const documents = new Documents();
  documents.committed('doc', CONTEXT);
  const incognito = new IncognitoTabs(() => 'headers');
  incognito.opened({ id: TAB, incognito: false });
  incognito.opened({ id: HIDDEN, incognito: true });
  watchK6Spans({ outbox: { observe: (observation) => void observed.push(observation) }, documents, incognito, known });
});

/** @param {unknown} message @param {object} [sender] */
const tell = async (message, sender) => {
  browser.fire('runtime.onMessage', message, { id: 'aalhdoofknlgjgclnnkjbegphicaohme', documentId: 'doc', frameId: 0, tab: { id: TAB }, ...sender });
  await known;
};

/**
 * Runs both scripts in a page, in either order.
 *
 * @param {Record<string, unknown>} page its `window`
 * @param {string[]} scripts
 */
async function runIn(page, scripts) {
  const sent = mock.fn();
  Object.assign(globalThis, { window: page, document: new EventTarget() });
  Object.assign(globalThis.chrome.runtime, { sendMessage: sent });
  pages += 1;
  for (const script of scripts) await import(String(new URL(`../../extension/observe/${script}.js?page-${pages}`, import.meta.url)));
  return () => sent.mock.calls.map(({ arguments: [message] }) => message);
}

test('the scripts run in every page from its start, one of them in its own world', async () => {
  const logged = mock.method(console, 'error', () => {});
  await readK6Spans();
  await readK6Spans();
  assert.deepEqual(browser.calls.filter((name) => name === 'registerContentScripts'), ['registerContentScripts'], 'once');
  assert.equal(logged.mock.callCount(), 0);
  assert.deepEqual(browser.scripts.map(({ js, world, runAt }) => [js, world, runAt]), [
    [['observe/k6-relay.js'], undefined, 'document_start'],
    [['observe/k6-page.js'], 'MAIN', 'document_start'],
  ]);
});

test('the id that k6 gives a page is told once, whenever k6 does and whatever the page does before', async () => {
  for (const scripts of [['k6-relay', 'k6-page'], ['k6-page', 'k6-relay']]) {
    const early = await runIn({ k6SpanId: K6 }, scripts);
    assert.deepEqual(early(), [{ what: 'k6-span', k6SpanId: K6 }], `before, ${scripts}`);

    /** @type {Record<string, unknown>} */
    const page = {};
    const late = await runIn(page, scripts);
    assert.deepEqual([late(), page['k6SpanId']], [[], undefined]);
    const ofPage = 'b'.repeat(16);
    page['k6SpanId'] = ofPage;
    globalThis.document.dispatchEvent(new CustomEvent('navtrace-k6-span', { detail: 'c'.repeat(16) }));
    for (const detail of [undefined, {}, 'text', 'c'.repeat(16)]) globalThis.document.dispatchEvent(new CustomEvent('navtrace-k6-span', { detail }));
    page['k6SpanId'] = K6;
    page['k6SpanId'] = K6;
    assert.deepEqual([late(), page['k6SpanId']], [[ofPage, 'c'.repeat(16), K6].map((k6SpanId) => ({ what: 'k6-span', k6SpanId })), K6], `after, ${scripts}`);

    for (let number = 10; number < 30; number += 1) page['k6SpanId'] = `${number}`.repeat(8);
    assert.equal(late().length, 5, 'a page makes no endless work');
  }
});

test('an id belongs to the navigation of its document', async () => {
  await tell({ what: 'k6-span', k6SpanId: K6 });
  const [{ time, ...rest }] = observed;
  assert.deepEqual(rest, { what: 'k6-span', spanId: CONTEXT.spanId, k6SpanId: K6 });
  assert.ok(Math.abs(time - Date.now()) < 60_000);
});

test('an id that wakes the worker waits until the open documents are known', async () => {
  let found = () => {};
  known = new Promise((resolve) => (found = resolve));
  const documents = new Documents();
  watchK6Spans({ outbox: { observe: (observation) => void observed.push(observation) }, documents, incognito: new IncognitoTabs(() => 'headers'), known });
  const told = tell({ what: 'k6-span', k6SpanId: K6 });
  documents.committed('doc', { spanId: 'b'.repeat(16), flags: '01' });
  found();
  await told;
  assert.deepEqual(observed.map(({ spanId }) => spanId).at(-1), 'b'.repeat(16));
});

test('what is no id, frames, unknown documents, other extensions and hidden tabs are ignored', async () => {
  for (const k6SpanId of [undefined, null, 7, '', '0'.repeat(16), 'x'.repeat(16), `${K6}0`]) await tell({ what: 'k6-span', k6SpanId });
  for (const nonsense of [null, undefined, 'text', { k6SpanId: K6 }, { what: 'page-measured', k6SpanId: K6 }]) await tell(nonsense);
  await tell({ what: 'k6-span', k6SpanId: K6 }, { frameId: 1 });
  await tell({ what: 'k6-span', k6SpanId: K6 }, { documentId: 'unknown' });
  await tell({ what: 'k6-span', k6SpanId: K6 }, { id: 'b'.repeat(32) });
  await tell({ what: 'k6-span', k6SpanId: K6 }, { tab: { id: HIDDEN } });
  assert.deepEqual(observed, []);
});
