import assert from 'node:assert/strict';
import { test } from 'node:test';

import { contextsFrom, freeRuleId, rulesFor } from '../../extension/headers/rules.js';
import { formatTraceparent, parseTraceparent } from '../../extension/context/traceparent.js';

/** @import { ResourceType, Contexts } from '../../extension/headers/rules.js' */

/** @type {ResourceType[]} */
const TYPES = ['image', 'main_frame', 'script'];

/** @param {number} n */
const context = (n) => ({ spanId: n.toString(16).padStart(16, '0'), flags: '01' });

/** @type {Contexts} */
const contexts = {
  session: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' },
  spare: context(1),
  tabs: new Map([
    [7, { ruleId: 10, current: context(2), next: context(3) }],
    [8, { ruleId: 12, current: context(4), next: context(4) }],
  ]),
};

test('a rule for each context, the narrower the higher', () => {
  const rows = rulesFor(contexts, TYPES).map(({ id, priority, condition, action }) => [
    id,
    priority,
    condition.tabIds,
    condition.resourceTypes,
    action.requestHeaders?.[0]?.value,
  ]);
  const trace = 'a'.repeat(32);
  assert.deepEqual(rows, [
    [1, 1, undefined, TYPES, `00-${trace}-${'b'.repeat(16)}-00`],
    [2, 2, undefined, ['main_frame'], `00-${trace}-0000000000000001-01`],
    [10, 3, [7], TYPES, `00-${trace}-0000000000000002-01`],
    [11, 4, [7], ['main_frame'], `00-${trace}-0000000000000003-01`],
    [12, 3, [8], TYPES, `00-${trace}-0000000000000004-01`],
  ]);
});

test('contexts are read back from their rules, in whatever order', () => {
  assert.deepEqual(contextsFrom(rulesFor(contexts, TYPES).reverse())?.tabs.get(7), contexts.tabs.get(7));
  assert.deepEqual(contextsFrom(rulesFor(contexts, TYPES)), contexts);
});

test('rules that are not ours are no contexts', () => {
  assert.equal(contextsFrom([]), null);
  assert.equal(contextsFrom(rulesFor(contexts, TYPES).slice(1)), null);
});

test('a tab gets the lowest pair of rule ids that is free', () => {
  assert.equal(freeRuleId([]), 10);
  assert.equal(freeRuleId(contexts.tabs.values()), 14);
  assert.equal(freeRuleId([{ ruleId: 12, current: context(1), next: context(1) }]), 10);
});

test('traceparent', async (t) => {
  const value = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const read = parseTraceparent(value);
  assert.ok(read);
  assert.equal(formatTraceparent(read), value);
  /** @type {[why: string, header: string | undefined][]} */
  const invalid = [
    ['missing', undefined],
    ['empty', ''],
    ['another version', value.replace('00-', '01-')],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['a span id of zeros', `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`],
    ['capitals', value.toUpperCase()],
    ['a field too many', `${value}-00`],
  ];
  for (const [why, header] of invalid) await t.test(why, () => assert.equal(parseTraceparent(header), null));
});
