import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { IncognitoTabs } from '../../extension/context/incognito.js';
import { Documents } from '../../extension/observe/documents.js';
import { measureWebVitals, watchWebVitals } from '../../extension/observe/web-vitals.js';
import { fakeChrome } from './support/chrome.js';

const CONTEXT = { spanId: 'a'.repeat(16), flags: '01' };
const MEASURED = { what: 'page-measured', vitals: { lcp: 12.5, cls: 0 }, timing: { responseStart: 3.5 } };

const TAB = 7;
/** A tab in an Incognito window. */
const HIDDEN = 9;

/** @type {ReturnType<typeof fakeChrome>} */
let browser;
/** @type {any[]} */
let observed;
/** @type {Promise<void>} */
let known;

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
  watchWebVitals({ outbox: { observe: (observation) => void observed.push(observation) }, documents, incognito, known });
});

/** @param {unknown} message @param {object} [sender] */
const tell = async (message, sender) => {
  browser.fire('runtime.onMessage', message, { id: 'aalhdoofknlgjgclnnkjbegphicaohme', documentId: 'doc', tab: { id: TAB }, ...sender });
  await known;
};

test('the script runs in every page from its start', async () => {
  const logged = mock.method(console, 'error', () => {});
  await measureWebVitals();
  await measureWebVitals();
  assert.deepEqual(browser.calls.filter((name) => name === 'registerContentScripts'), ['registerContentScripts'], 'once');
  assert.equal(logged.mock.callCount(), 0);
  const [{ world, runAt, persistAcrossSessions, matches, js }, ...more] = browser.scripts;
  assert.deepEqual(more, []);
  assert.deepEqual({ runAt, persistAcrossSessions, matches, js }, {
    runAt: 'document_start',
    persistAcrossSessions: false,
    matches: ['<all_urls>'],
    js: ['observe/measure-page.js'],
  });
  // The default is an isolated world.
  assert.equal(world, undefined);
});

test('a failed registration is logged', async () => {
  const logged = mock.method(console, 'error', () => {});
  browser.state.broken.add('registerContentScripts');
  await measureWebVitals();
  assert.deepEqual(logged.mock.calls.map(({ arguments: [text] }) => text), ['navtrace: measuring web vitals failed']);
});

test('measurements belong to the navigation of their document', async () => {
  await tell(MEASURED);
  const [{ time, ...rest }] = observed;
  assert.deepEqual(rest, { ...MEASURED, spanId: CONTEXT.spanId });
  assert.ok(Math.abs(time - Date.now()) < 60_000);
});

test('unknown documents, other extensions and hidden tabs are ignored', async () => {
  await tell(MEASURED, { documentId: 'unknown' });
  await tell(MEASURED, { documentId: undefined });
  await tell(MEASURED, { id: 'b'.repeat(32) });
  await tell(MEASURED, { tab: { id: HIDDEN } });
  assert.deepEqual(observed, []);
});

test('only named numbers are accepted, up to a limit', async () => {
  for (const nonsense of [null, undefined, 'text', 7, { vitals: {} }, { ...MEASURED, what: 'k6-span' }]) await tell(nonsense);
  assert.equal(observed.length, 0);
  await tell({ what: 'page-measured' });
  await tell({ what: 'page-measured', vitals: 'text', timing: [null] });
  assert.deepEqual(observed.map(({ timing }) => timing), [{}, {}]);
  observed.length = 0;
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => ['n'.repeat(1 + (n % 40)) + (n < 40 ? '' : n < 80 ? 'x' : 'y'), n]));
  await tell({ what: 'page-measured', vitals: many, timing: { good: 1, text: 'x', infinite: Infinity, nothing: null, ['long'.repeat(100)]: 1, '"': 1 } });
  assert.equal(Object.keys(observed[0].vitals).length, 64);
  assert.deepEqual(observed[0].timing, { good: 1 });
});
