import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { SessionRules } from '../../extension/headers/session-rules.js';
import { fakeChrome, settled } from './support/chrome.js';

/** @param {number} id @param {string} value */
const rule = (id, value) =>
  /** @type {chrome.declarativeNetRequest.Rule} */ ({
    id,
    priority: 1,
    condition: { resourceTypes: ['main_frame'] },
    action: { type: 'modifyHeaders', requestHeaders: [{ header: 'traceparent', operation: 'set', value }] },
  });

/** @type {SessionRules} */
let rules;
/** @type {ReturnType<typeof fakeChrome>} */
let browser;

beforeEach(async (t) => {
  browser = fakeChrome();
  rules = new SessionRules();
  await rules.read();
  if ('mock' in t) t.mock.method(console, 'error', () => {});
});

test('only what differs is updated', async () => {
  await rules.replace([rule(1, 'a'), rule(2, 'b'), rule(3, 'c')]);
  assert.equal(await rules.replace([rule(1, 'a'), rule(2, 'x')]), true);
  assert.deepEqual(browser.updates[1], { removeRuleIds: [2, 3], addRules: [rule(2, 'x')] });
});

test('equal rules make no update, however their keys are ordered', async () => {
  await rules.replace([rule(1, 'a')]);
  const { id, priority, condition, action } = rule(1, 'a');
  assert.equal(await rules.replace([{ action, condition, priority, id }]), true);
  assert.equal(browser.updates.length, 1);
});

test('rules that were in force before make no update', async () => {
  browser.rules.set(1, rule(1, 'a'));
  await rules.read();
  assert.equal(await rules.replace([rule(1, 'a')]), true);
  assert.equal(browser.updates.length, 0);
});

test('an update does not wait for the one before, and follows it', async () => {
  const done = [rules.replace([rule(1, 'a')]), rules.replace([rule(1, 'a'), rule(2, 'b')]), rules.replace([rule(2, 'c')])];
  assert.deepEqual(
    browser.updates.map(({ removeRuleIds, addRules }) => [removeRuleIds, addRules.map((/** @type {{ id: number }} */ { id }) => id)]),
    [[[], [1]], [[], [2]], [[1, 2], [2]]],
  );
  assert.deepEqual(await Promise.all(done), [true, true, true]);
  assert.deepEqual([...browser.rules.values()], [rule(2, 'c')]);
});

test('updates that followed a refused one are made good together', async () => {
  let refusals = 1;
  browser.state.refuse = () => refusals-- > 0;
  const done = [rules.replace([rule(1, 'a')]), rules.replace([rule(1, 'a'), rule(2, 'b')])];
  assert.deepEqual(await Promise.all(done), [true, true]);
  assert.deepEqual([...browser.rules.values()], [rule(1, 'a'), rule(2, 'b')]);
});

test('a refused update is tried once more from the start', async () => {
  await rules.replace([rule(1, 'a'), rule(2, 'b')]);
  let refusals = 1;
  browser.state.refuse = () => refusals-- > 0;
  assert.equal(await rules.replace([rule(1, 'a'), rule(2, 'x')]), true);
  assert.deepEqual(browser.updates[2], { removeRuleIds: [1, 2], addRules: [rule(1, 'a'), rule(2, 'x')] });
});

test('a rule that is refused for good does not keep later ones out', async () => {
  browser.state.refuse = ({ addRules }) => addRules.some((/** @type {{ id: number }} */ { id }) => id === 666);
  assert.equal(await rules.replace([rule(666, 'a')]), false);
  assert.equal(browser.updates.length, 2);
  assert.equal(await rules.replace([rule(1, 'a')]), true);
  assert.deepEqual([...browser.rules.keys()], [1]);
});

test('rules that can not be read do not keep new ones out', async () => {
  browser.rules.set(1, rule(1, 'before'));
  browser.state.broken.add('getSessionRules');
  const fresh = new SessionRules();
  assert.deepEqual(await fresh.read(), []);
  assert.equal(await fresh.replace([rule(1, 'a')]), true);
  assert.equal(await fresh.replace([rule(1, 'a'), rule(2, 'b')]), true);
  let refusals = 1;
  browser.state.refuse = () => refusals-- > 0;
  assert.equal(await fresh.replace([rule(1, 'x')]), true);
  assert.deepEqual([...browser.rules.values()], [rule(1, 'x')]);
});

test('starting over clears what was in force before this worker', async () => {
  browser.rules.set(1, rule(1, 'before'));
  browser.rules.set(2, rule(2, 'before'));
  const fresh = new SessionRules();
  await fresh.read();
  let refusals = 1;
  browser.state.refuse = () => refusals-- > 0;
  assert.equal(await fresh.replace([rule(1, 'a')]), true);
  assert.deepEqual([...browser.rules.values()], [rule(1, 'a')]);
});

test('rules that are wanted while others are put in force come after them', async () => {
  let refusals = 1;
  browser.state.refuse = () => refusals-- > 0;
  const first = rules.replace([rule(1, 'a')]);
  for (let n = 0; n < 20 && browser.updates.length < 2; n += 1) await settled();
  assert.equal(browser.updates.length, 2, 'it starts over');
  const second = rules.replace([rule(2, 'b')]);
  assert.deepEqual([await first, await second], [true, true]);
  assert.deepEqual([...browser.rules.values()], [rule(2, 'b')]);
  assert.equal(await rules.replace([rule(2, 'b')]), true);
  assert.equal(browser.updates.length, 3, 'they are known to be in force');
});
