import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freeRuleId, inForceBy, recordOf, rulesFor, serverTiming } from '../../extension/headers/rules.js';
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
    [13, 4, [8], ['main_frame'], `00-${trace}-0000000000000004-01`],
  ]);
});

test('every rule sets one header of a request, and a navigation that a tab expects is named in its response', () => {
  /** @type {(number | undefined)[]} */
  const naming = [];
  for (const { condition, action } of rulesFor(contexts, TYPES)) {
    assert.equal(action.type, 'modifyHeaders');
    assert.equal(action.requestHeaders?.length, 1);
    const { value, ...set } = action.requestHeaders[0] ?? {};
    assert.deepEqual(set, { header: 'traceparent', operation: 'set' });
    if (action.responseHeaders === undefined) continue;
    const named = [{ header: 'Server-Timing', operation: 'append', value: `traceparent;desc="${value}"` }];
    assert.deepEqual(action.responseHeaders, named);
    assert.deepEqual(condition.resourceTypes, ['main_frame']);
    assert.equal(condition.tabIds?.length, 1);
    naming.push(condition.tabIds?.[0]);
  }
  // The browser appends what every rule that matches says, so that two would name two.
  assert.deepEqual(naming, [7, 8]);
});

test('a response names the context of its navigation', () => {
  const header = { name: 'Server-Timing', value: `traceparent;desc="00-${'a'.repeat(32)}-0000000000000002-01"` };
  assert.deepEqual(serverTiming('a'.repeat(32), context(2)), header);
});

test('contexts are read back from their rules, in whatever order', () => {
  const expected = { session: contexts.session, mode: 'lightweight', contexts };
  assert.deepEqual(inForceBy(rulesFor(contexts, TYPES).reverse())?.contexts?.tabs.get(7), contexts.tabs.get(7));
  assert.deepEqual(inForceBy(rulesFor(contexts, TYPES)), expected);
});

test('the record keeps the session, and matches nothing that a page could ask for', () => {
  const record = recordOf(contexts.session);
  assert.deepEqual(record.condition, { requestDomains: ['navtrace.invalid'] });
  assert.deepEqual(inForceBy([record]), { session: contexts.session, mode: 'detailed', contexts: null });
});

test('the record has the id of a rule that it takes the place of', () => {
  assert.equal(recordOf(contexts.session).id, rulesFor(contexts, TYPES)[0]?.id);
});

test('rules that are not ours are no contexts', () => {
  const [root, spare, ...others] = rulesFor(contexts, TYPES);
  assert.ok(root && spare);
  assert.equal(inForceBy([]), null);
  assert.equal(inForceBy([spare, ...others]), null, 'without the root');
  assert.equal(inForceBy([root, ...others]), null, 'without the spare');
  assert.equal(inForceBy([root]), null, 'one that is no record');
  assert.equal(inForceBy([{ ...recordOf(contexts.session), id: 7 }]), null, 'a record by another id');
  const broken = { ...recordOf(contexts.session), action: { ...root.action, requestHeaders: [] } };
  assert.equal(inForceBy([broken]), null, 'a record of nothing');
});

test('a tab that has one of its rules only is not read back', () => {
  const rules = rulesFor(contexts, TYPES).filter(({ id }) => id !== 11);
  assert.deepEqual([...(inForceBy(rules)?.contexts?.tabs.keys() ?? [])], [8]);
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
