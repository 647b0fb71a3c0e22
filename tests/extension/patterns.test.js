import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { refusalsOf, refusedRegexes } from '../../extension/headers/patterns.js';
import { fakeChrome } from './support/chrome.js';
import { MAX_REGEX_LENGTH } from './support/rule-engine.js';

const LONG = 'x'.repeat(MAX_REGEX_LENGTH + 1);
const REASON = 'is too long or complex for a rule of the browser';
const ADVICE = 'shorten it, or use detailed mode with NAVTRACE_RESOURCES=all';

test('the browser says which regular expressions it refuses', async () => {
  const { calls } = fakeChrome();
  assert.deepEqual(await refusedRegexes({ targets: ['a', LONG], exclude: [`${LONG}y`, 'b'] }), [LONG, `${LONG}y`]);
  assert.deepEqual(calls, Array(4).fill('isRegexSupported'));
});

test('a browser that cannot be asked refuses nothing', async (t) => {
  t.mock.method(console, 'error', mock.fn());
  fakeChrome().state.broken.add('isRegexSupported');
  assert.deepEqual(await refusedRegexes({ targets: [LONG], exclude: [] }), []);
});

test('a target that gets no headers is reported', () => {
  const regexes = { targets: ['^a', '^b'], exclude: [] };
  const patterns = { targets: ['http://a/*', 'http://b/*'], exclude: [] };
  assert.deepEqual(refusalsOf(regexes, ['^b'], patterns), [`the target "http://b/*" ${REASON}, so it gets no headers: ${ADVICE}`]);
  assert.deepEqual(refusalsOf(regexes, [], patterns), []);
});

test('an exclusion that stops all headers is reported', () => {
  const regexes = { targets: ['^a'], exclude: ['^b'] };
  const patterns = { targets: ['http://a/*'], exclude: ['http://b/*'] };
  assert.deepEqual(refusalsOf(regexes, ['^b'], patterns), [`the exclusion "http://b/*" ${REASON}, so nothing gets headers: ${ADVICE}`]);
});

/** @type {[what: string, patterns: string[], regexes: string[], refused: string[], named: string[]][]} */
const NAMES = [
  ['both regular expressions of a pattern', ['*://a:443/*', 'http://b/*'], ['^1', '^2', '^3'], ['^1', '^2'], ['*://a:443/*']],
  ['a pattern after one of two', ['*://a:80/*', '*://b:8080/*'], ['^1', '^2', '^3'], ['^3'], ['*://b:8080/*']],
  ['both regular expressions of a pattern with zeros', ['*://shop.test:0443/*', 'http://b/*'], ['^1', '^2', '^3'], ['^3'], ['http://b/*']],
  ['a pattern after one with another port', ['*://a:4430/*', 'http://b/*'], ['^1', '^2'], ['^2'], ['http://b/*']],
  ['a pattern after one with a port in its path', ['http://a/*://b:443/*', '*://a/b:80/*', 'http://b/*'], ['^1', '^2', '^3'], ['^3'], ['http://b/*']],
  ['a pattern at the limit', [`http://${'y'.repeat(93)}`], ['^1'], ['^1'], [`http://${'y'.repeat(93)}`]],
  ['a pattern that no host has told', [], ['^1'], ['^1'], ['^1']],
  ['a long pattern', [`http://${LONG}/*`], ['^1'], ['^1'], [`http://${'x'.repeat(90)}...`]],
];
for (const [what, targets, regexes, refused, named] of NAMES) {
  test(`the message names ${what}`, () => {
    const told = refusalsOf({ targets: regexes, exclude: [] }, refused, { targets, exclude: [] });
    assert.deepEqual(told.map((message) => message.split('"')[1]), named);
  });
}
