import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { Documents } from '../../extension/observe/documents.js';
import { observeOpenDocuments } from '../../extension/observe/open-documents.js';
import { fakeChrome } from './support/chrome.js';
import { fakeOutbox } from './support/session.js';

/** @import { TracedContext } from '../../extension/context/traces.js' */

const TAB = 100;
const PAGE = 'https://example.test/';
const MAIN = { parentFrameId: -1, documentId: 'main', documentLifecycle: 'active', url: PAGE };

beforeEach(() => mock.restoreAll());

/**
 * Looks for open documents in one tab.
 *
 * @param {object[] | null} frames null for a tab that has gone
 * @param {{ documents?: Documents, broken?: string, isObserved?: boolean }} [options]
 */
async function look(frames, { documents = new Documents(), broken, isObserved = true } = {}) {
  const { state } = fakeChrome({ tabs: [TAB] });
  if (frames !== null) state.frames.set(TAB, frames);
  if (broken !== undefined) state.broken.add(broken);
  const outbox = fakeOutbox();
  const found = mock.fn((/** @type {number} */ _tabId, /** @type {string} */ url) => (url === PAGE ? [{ spanId: 'navigation', flags: '01' }] : []));
  const continued = (/** @type {number} */ _tabId, /** @type {string} */ _url, /** @type {TracedContext} */ context) => context;
  await observeOpenDocuments({ found, continued, observes: () => isObserved }, { outbox, documents });
  const known = (/** @type {string} */ documentId) => documents.find(documentId)?.spanId;
  return { observed: outbox.observed, known, asked: found.mock.callCount() };
}

test('an open document and its frames have a navigation', async () => {
  const frame = { ...MAIN, parentFrameId: 0, documentId: 'frame', parentDocumentId: 'main' };
  const nested = { ...frame, documentId: 'nested', parentDocumentId: 'frame' };
  const { observed, known } = await look([MAIN, frame, nested]);
  assert.deepEqual(observed.map(({ what, spanId, tabId, url }) => [what, spanId, tabId, url]), [['navigation-committed', 'navigation', TAB, PAGE]]);
  assert.equal(observed[0].started, observed[0].time);
  assert.deepEqual(['main', 'frame', 'nested'].map(known), ['navigation', 'navigation', 'navigation']);
});

test('documents that are not shown are left out', async () => {
  const prerendered = { ...MAIN, documentId: 'prerendered', documentLifecycle: 'prerender' };
  const cached = { ...MAIN, parentFrameId: 0, documentId: 'cached', parentDocumentId: 'main', documentLifecycle: 'cached' };
  const { observed, known } = await look([prerendered, MAIN, cached]);
  assert.equal(observed.length, 1);
  assert.deepEqual(['main', 'prerendered', 'cached'].map(known), ['navigation', undefined, undefined]);
});

test('a document whose commit was seen meanwhile stays as it is', async () => {
  const documents = new Documents();
  documents.committed('main', { spanId: 'seen', flags: '01' });
  const { observed, known, asked } = await look([MAIN], { documents });
  assert.deepEqual([observed, known('main'), asked], [[], 'seen', 0]);
});

test('a document without a navigation is not observed', async () => {
  const { observed, known, asked } = await look([{ ...MAIN, url: 'about:blank' }]);
  assert.deepEqual([observed, known('main'), asked], [[], undefined, 1]);
});

test('a document in a hidden tab has a navigation that is not observed', async () => {
  const { observed, known } = await look([MAIN], { isObserved: false });
  assert.deepEqual([observed, known('main')], [[], 'navigation']);
});

test('a tab that has gone, or a browser that does not answer, is no fault', async () => {
  mock.method(console, 'error', () => {});
  for (const broken of [undefined, 'tabs.query', 'webNavigation.getAllFrames']) {
    assert.deepEqual((await look(null, { broken })).observed, []);
  }
});
