import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { readRecord } from '../../extension/headers/record.js';
import { RESOURCE_TYPES, ruleFault, rulesFor } from './support/rule-engine.js';
import { DETAILED, SESSION, context, contexts, rulesOf, steering, under, withTab } from './support/rules.js';
import { spanId, traceId } from './support/session.js';

/** @import { Contexts } from '../../extension/headers/record.js' */
/** @import { Rule } from '../../extension/headers/rules.js' */

test('contexts are read back from their rules, in whatever order', () => {
  const expected = { session: contexts.session, mode: 'lightweight', propagation: DEFAULT_PROPAGATION, contexts, kept: null };
  assert.deepEqual(readRecord(rulesOf().reverse())?.contexts?.tabs.get(7), contexts.tabs.get(7));
  assert.deepEqual(readRecord(rulesOf()), expected);
});

test("the record keeps the session and matches no page's request", () => {
  const record = DETAILED;
  assert.equal(ruleFault(record), null);
  const names = ['navtrace.invalid', 'x.navtrace.invalid', 'shop.test'];
  for (const url of names.map((name) => `http://${name}/x`)) {
    for (const type of Object.values(RESOURCE_TYPES)) assert.deepEqual(rulesFor(new Map([[1, record]]), { type, tabId: 7, url }), [], url);
  }
  assert.deepEqual(readRecord([record]), { session: SESSION, mode: 'detailed', propagation: DEFAULT_PROPAGATION, contexts: null, kept: null });
});

test('the record has the id of a rule that it takes the place of', () => {
  assert.equal(DETAILED.id, rulesOf()[0]?.id);
});

/**
 * Changes the record in the rules.
 *
 * @param {(record: any) => void} change
 * @param {Contexts} [carried]
 */
function recordWith(change, carried) {
  const rules = rulesOf({}, carried);
  const [record] = rules;
  const header = record?.action.requestHeaders?.[0];
  assert.ok(header);
  const said = JSON.parse(header.value ?? '');
  change(said);
  header.value = JSON.stringify(said);
  return rules;
}

test('rules that are not ours are no contexts', () => {
  const [record, ...others] = rulesOf();
  assert.ok(record);
  assert.equal(readRecord([]), null);
  assert.equal(readRecord(others), null, 'without the record');
  assert.deepEqual(readRecord([record])?.contexts, contexts, 'the record alone says it all');
  assert.equal(readRecord([{ ...DETAILED, id: 7 }]), null, 'a record by another id');
  for (const value of [undefined, '', '{', 'null', '[]', '"x"', `00-${SESSION.traceId}-${SESSION.spanId}-00`]) {
    /** @type {object} */
    const action = { ...record.action, requestHeaders: value === undefined ? [] : [{ header: 'navtrace-record', operation: 'set', value }] };
    assert.equal(readRecord([/** @type {Rule} */ ({ ...record, action })]), null, `a record of ${value}`);
  }
});

/** @type {[what: string, change: (record: any) => void][]} */
const BROKEN = [
  ...['mode', 'session', 'propagation', 'contexts'].flatMap((field) =>
    [undefined, null, 'x', 7, []].map((value) => /** @type {[string, (record: any) => void]} */ ([
      `${field}: ${JSON.stringify(value)}`,
      (record) => (record[field] = value),
    ])),
  ),
  ...['traceId', 'spanId', 'flags'].map((field) => /** @type {[string, (record: any) => void]} */ ([
    `session.${field}`,
    (record) => (record.session[field] = '0'),
  ])),
  ...Object.keys(DEFAULT_PROPAGATION).map((field) => /** @type {[string, (record: any) => void]} */ ([
    `propagation.${field}`,
    (record) => (record.propagation[field] = 0),
  ])),
  ['contexts.spare', (record) => (record.contexts.spare = null)],
  ['contexts.spare.spanId', (record) => (record.contexts.spare.spanId = 'x')],
  ['contexts.spare.flags', (record) => (record.contexts.spare.flags = 1)],
  ['contexts.tabs', (record) => (record.contexts.tabs = {})],
];
test('a record that is broken in any field is none', () => {
  for (const [what, change] of BROKEN) assert.equal(readRecord(recordWith(change)), null, what);
});

/** @type {[what: string, change: (tab: any) => void][]} */
const BROKEN_TABS = [
  ['tabId', (tab) => (tab.tabId = '7')],
  ['ruleId', (tab) => delete tab.ruleId],
  ['current', (tab) => (tab.current = null)],
  ['current.spanId', (tab) => (tab.current.spanId = '0'.repeat(16))],
  ['next', (tab) => delete tab.next],
  ['next.flags', (tab) => (tab.next.flags = 'x')],
];
test('a broken tab in the record is dropped, and others are read', () => {
  for (const [what, change] of BROKEN_TABS) {
    const inForce = readRecord(recordWith(({ contexts: { tabs } }) => change(tabs[0])));
    assert.deepEqual([...(inForce?.contexts?.tabs.keys() ?? [])], [8], what);
  }
});

/** A context with every property. */
const special = context(2, {
  trace: { traceId: traceId(9), spanId: spanId(8), flags: '03', tracestate: 'a=1' },
  steering: steering({ propagators: ['b3'], sampling: 0.5, newTrace: true }),
  baggage: 'k=v;p,l=%20',
  client: { traceId: traceId(9), spanId: spanId(8) },
});

test('contexts with their own traces come back from the record', () => {
  const carried = withTab({ ...special, steering: undefined }, special);
  const settings = { targets: ['^https://caf\u00e9\\.test/\u{1f600}'], baggage: 'x=1' };
  const rules = rulesOf(settings, carried);
  const value = rules[0]?.action.requestHeaders?.[0]?.value ?? '';
  assert.match(value, /^[ -~]*$/);
  const inForce = readRecord(rules);
  assert.deepEqual(inForce?.contexts?.tabs.get(7)?.next, special);
  assert.deepEqual(inForce?.propagation, { ...DEFAULT_PROPAGATION, ...settings });
  const { traceparent, tracestate, baggage } = under(rulesOf({ baggage: 'x=1' }, carried, [], ['example.test']))({ tabId: 7 });
  assert.deepEqual([traceparent, tracestate, baggage], [`00-${traceId(9)}-${spanId(2)}-01`, 'a=1', 'k=v;p,l=%20,x=1']);
});
