import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Documents } from '../../extension/observe/documents.js';
import { Pages } from '../../extension/observe/pages.js';
import { fakeChrome, settled } from './support/chrome.js';

const CONTEXT = { spanId: 'a'.repeat(16), flags: '01' };
const MEASURED = { vitals: { lcp: 12.5, cls: 0 }, timing: { responseStart: 3.5 } };

/** @type {ReturnType<typeof fakeChrome>} */
let browser;
/** @type {any[]} */
let observed;
/** @type {any[]} */
let targets;
/** @type {Pages} */
let pages;

beforeEach(() => {
  browser = fakeChrome();
  observed = [];
  targets = [];
  browser.state.measured = (target) => {
    targets.push(target);
    return MEASURED;
  };
  const documents = new Documents();
  documents.committed('doc', CONTEXT);
  pages = new Pages({ observe: (observation) => void observed.push(observation) }, documents);
});

test('a page is measured when it is loaded, and once more before it is left', async () => {
  pages.loaded(7, 'doc');
  await settled();
  const { time, ...rest } = observed[0];
  assert.deepEqual(rest, { what: 'page-measured', spanId: CONTEXT.spanId, ...MEASURED });
  assert.ok(Math.abs(time - Date.now()) < 60_000);
  pages.leaving(7);
  pages.leaving(7);
  await settled();
  assert.equal(observed.length, 2);
  assert.deepEqual(targets, Array.from({ length: 2 }, () => ({ tabId: 7, documentIds: ['doc'] })));
});

test('a page that was never loaded, is closed, or is of no known navigation is left alone', async () => {
  pages.leaving(7);
  pages.loaded(8, 'unknown');
  pages.loaded(7, 'doc');
  pages.closed(7);
  pages.leaving(7);
  await settled();
  assert.equal(targets.length, 1);
});

test('a page that is gone, or may not be entered, or answers nonsense does no harm', async () => {
  browser.state.broken.add('scripting.executeScript');
  pages.loaded(7, 'doc');
  await settled();
  browser.state.broken.clear();
  for (const answer of [null, undefined, 'text']) {
    browser.state.measured = () => answer;
    pages.loaded(7, 'doc');
    await settled();
  }
  assert.deepEqual(observed.flatMap(({ vitals, timing }) => [vitals, timing]), [{}, {}]);
  observed.length = 0;
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`n${n}`, n]));
  const timing = { good: 1, text: 'x', infinite: Infinity, nothing: null, ['long'.repeat(100)]: 1 };
  browser.state.measured = () => ({ vitals: many, timing });
  pages.loaded(7, 'doc');
  await settled();
  assert.equal(Object.keys(observed[0].vitals).length, 64);
  assert.deepEqual(observed[0].timing, { good: 1 });
});
