import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { Arm } from '../../extension/headers/arm.js';
import { fakeChrome } from './support/chrome.js';

/** @param {number} id @param {string} value */
const rule = (id, value) =>
  /** @type {chrome.declarativeNetRequest.Rule} */ ({
    id,
    priority: 1,
    condition: { resourceTypes: ['main_frame'] },
    action: { type: 'modifyHeaders', requestHeaders: [{ header: 'traceparent', operation: 'set', value }] },
  });

/** @type {Arm} */
let arm;
/** @type {ReturnType<typeof fakeChrome>} */
let browser;

beforeEach(async (t) => {
  browser = fakeChrome();
  arm = new Arm();
  await arm.inForce();
  if ('mock' in t) t.mock.method(console, 'error', () => {});
});

test('only what differs is updated', async () => {
  await arm.wish([rule(1, 'a'), rule(2, 'b'), rule(3, 'c')]);
  assert.equal(await arm.wish([rule(1, 'a'), rule(2, 'x')]), true);
  assert.deepEqual(browser.updates[1], { removeRuleIds: [2, 3], addRules: [rule(2, 'x')] });
});

test('a wish that changes nothing makes no update, however its keys are ordered', async () => {
  await arm.wish([rule(1, 'a')]);
  const { id, priority, condition, action } = rule(1, 'a');
  assert.equal(await arm.wish([{ action, condition, priority, id }]), true);
  assert.equal(browser.updates.length, 1);
});

test('rules that were in force before make no update', async () => {
  browser.rules.set(1, rule(1, 'a'));
  await arm.inForce();
  assert.equal(await arm.wish([rule(1, 'a')]), true);
  assert.equal(browser.updates.length, 0);
});

test('an update does not wait for the one before, and follows it', async () => {
  const done = [arm.wish([rule(1, 'a')]), arm.wish([rule(1, 'a'), rule(2, 'b')]), arm.wish([rule(2, 'c')])];
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
  const done = [arm.wish([rule(1, 'a')]), arm.wish([rule(1, 'a'), rule(2, 'b')])];
  assert.deepEqual(await Promise.all(done), [true, true]);
  assert.deepEqual([...browser.rules.values()], [rule(1, 'a'), rule(2, 'b')]);
});

test('a refused update is tried once more from the start', async () => {
  await arm.wish([rule(1, 'a'), rule(2, 'b')]);
  let refusals = 1;
  browser.state.refuse = () => refusals-- > 0;
  assert.equal(await arm.wish([rule(1, 'a'), rule(2, 'x')]), true);
  assert.deepEqual(browser.updates[2], { removeRuleIds: [1, 2], addRules: [rule(1, 'a'), rule(2, 'x')] });
});

test('a rule that is refused for good does not keep later ones out', async () => {
  browser.state.refuse = ({ addRules }) => addRules.some((/** @type {{ id: number }} */ { id }) => id === 666);
  assert.equal(await arm.wish([rule(666, 'a')]), false);
  assert.equal(browser.updates.length, 2);
  assert.equal(await arm.wish([rule(1, 'a')]), true);
  assert.deepEqual([...browser.rules.keys()], [1]);
});

test('rules that can not be read do not keep new ones out', async () => {
  browser.rules.set(1, rule(1, 'before'));
  browser.state.broken.add('getSessionRules');
  const fresh = new Arm();
  assert.deepEqual(await fresh.inForce(), []);
  assert.equal(await fresh.wish([rule(1, 'a')]), true);
  assert.equal(await fresh.wish([rule(1, 'a'), rule(2, 'b')]), true);
  let refusals = 1;
  browser.state.refuse = () => refusals-- > 0;
  assert.equal(await fresh.wish([rule(1, 'x')]), true);
  assert.deepEqual([...browser.rules.values()], [rule(1, 'x')]);
});

test('starting over clears what was in force before this worker', async () => {
  browser.rules.set(1, rule(1, 'before'));
  browser.rules.set(2, rule(2, 'before'));
  const fresh = new Arm();
  await fresh.inForce();
  let refusals = 1;
  browser.state.refuse = () => refusals-- > 0;
  assert.equal(await fresh.wish([rule(1, 'a')]), true);
  assert.deepEqual([...browser.rules.values()], [rule(1, 'a')]);
});
