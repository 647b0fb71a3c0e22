import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { formatTraceparent, parseTraceparent } from '../../extension/context/traceparent.js';
import { Traces } from '../../extension/context/traces.js';
import { freeRuleId, inForceBy, mostSlots, recordOf, rulesFor, serverTiming } from '../../extension/headers/rules.js';
import { fakeChrome } from './support/chrome.js';
import { fakeOutbox, fakeSession, spanId, traceId } from './support/session.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */
/** @import { NavigationContext } from '../../extension/context/traces.js' */
/** @import { ResourceType, Contexts, Rule } from '../../extension/headers/rules.js' */

/** @type {ResourceType[]} */
const TYPES = ['image', 'main_frame', 'script'];

/** @param {number} n @param {Partial<NavigationContext>} [special] @returns {NavigationContext} */
const context = (n, special) => ({ spanId: spanId(n), flags: '01', ...special });

const SESSION = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

/** @type {Contexts} */
const contexts = {
  session: SESSION,
  spare: context(1),
  tabs: new Map([
    [7, { ruleId: 10, current: context(2), next: context(3) }],
    [8, { ruleId: 12, current: context(4), next: context(4) }],
  ]),
};

/** What tab 7 carries, in place of what it carries above. @param {NavigationContext} current @param {NavigationContext} [next] */
const withTab = (current, next = current) => ({ ...contexts, tabs: new Map([[7, { ruleId: 10, current, next }]]) });

/**
 * Builds the rules of a session.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {Contexts} [carried]
 * @param {number[]} [clients] the tabs whose client puts headers on every request
 */
function rulesOf(settings, carried = contexts, clients = []) {
  const session = fakeSession(settings, { context: SESSION });
  const traces = new Traces(session, fakeOutbox());
  const known = { carried: traces.carried.bind(traces), withClients: () => clients };
  return rulesFor(carried, TYPES, session.propagation, known);
}

/**
 * Has requests leave under rules.
 *
 * @param {Rule[]} rules
 */
function under(rules) {
  const browser = fakeChrome();
  rules.forEach((rule) => browser.rules.set(rule.id, rule));
  /** @param {object} details @param {Record<string, string>} [headers] @returns {Record<string, string>} */
  const carried = (details, headers = {}) => {
    const requestHeaders = Object.entries(headers).map(([name, value]) => ({ name, value }));
    return Object.fromEntries(browser.leave({ ...details, requestHeaders }).map(({ name, value }) => [name, value ?? '']));
  };
  return carried;
}

test('a rule for each context, the narrower the higher', () => {
  const rows = rulesOf().map(({ id, priority, condition, action }) => [
    id,
    priority,
    condition.tabIds,
    condition.resourceTypes,
    action.requestHeaders?.[0]?.value,
  ]);
  const trace = 'a'.repeat(32);
  const [record, ...others] = rows;
  assert.deepEqual(record?.slice(0, 4), [1, 2, undefined, undefined]);
  assert.deepEqual(others, [
    [2, 7, undefined, TYPES, undefined],
    [4, 2, undefined, TYPES, `00-${trace}-${'b'.repeat(16)}-00`],
    [5, 3, undefined, ['main_frame'], `00-${trace}-0000000000000001-01`],
    [10, 4, [7], TYPES, `00-${trace}-0000000000000002-01`],
    [11, 5, [7], ['main_frame'], `00-${trace}-0000000000000003-01`],
    [12, 4, [8], TYPES, `00-${trace}-0000000000000004-01`],
    [13, 5, [8], ['main_frame'], `00-${trace}-0000000000000004-01`],
  ]);
});

test('every rule of a context sets one header of a request and takes the state of any other away, and a navigation that a tab expects is named in its response', () => {
  /** @type {(number | undefined)[]} */
  const naming = [];
  const [record, control, ...others] = rulesOf();
  assert.deepEqual(record?.condition, { requestDomains: ['navtrace.invalid'] });
  assert.deepEqual(control?.action, { type: 'modifyHeaders', requestHeaders: [{ header: 'navtrace', operation: 'remove' }] });
  for (const { condition, action } of others) {
    assert.equal(action.type, 'modifyHeaders');
    assert.equal(action.requestHeaders?.length, 2);
    const { value, ...set } = action.requestHeaders[0] ?? {};
    assert.deepEqual(set, { header: 'traceparent', operation: 'set' });
    assert.deepEqual(action.requestHeaders[1], { header: 'tracestate', operation: 'remove' });
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
  const trace = { traceId: traceId(9), spanId: spanId(8), flags: '00', tracestate: '' };
  const other = { name: 'Server-Timing', value: `traceparent;desc="00-${traceId(9)}-0000000000000002-01"` };
  assert.deepEqual(serverTiming('a'.repeat(32), context(2, { trace })), other, 'and the trace that it is in');
});

test('contexts are read back from their rules, in whatever order', () => {
  const expected = { session: contexts.session, mode: 'lightweight', propagation: DEFAULT_PROPAGATION, contexts };
  assert.deepEqual(inForceBy(rulesOf().reverse())?.contexts?.tabs.get(7), contexts.tabs.get(7));
  assert.deepEqual(inForceBy(rulesOf()), expected);
});

test('the record keeps the session, and matches nothing that a page could ask for', () => {
  const record = recordOf(contexts.session, DEFAULT_PROPAGATION);
  assert.deepEqual(record.condition, { requestDomains: ['navtrace.invalid'] });
  assert.deepEqual(inForceBy([record]), { session: SESSION, mode: 'detailed', propagation: DEFAULT_PROPAGATION, contexts: null });
});

test('the record has the id of a rule that it takes the place of', () => {
  assert.equal(recordOf(contexts.session, DEFAULT_PROPAGATION).id, rulesOf()[0]?.id);
});

/**
 * Has the record say something else.
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
  assert.equal(inForceBy([]), null);
  assert.equal(inForceBy(others), null, 'without the record');
  assert.deepEqual(inForceBy([record])?.contexts, contexts, 'the record alone says it all');
  assert.equal(inForceBy([{ ...recordOf(SESSION, DEFAULT_PROPAGATION), id: 7 }]), null, 'a record by another id');
  for (const value of [undefined, '', '{', 'null', '[]', '"x"', `00-${SESSION.traceId}-${SESSION.spanId}-00`]) {
    /** @type {object} */
    const action = { ...record.action, requestHeaders: value === undefined ? [] : [{ header: 'navtrace-record', operation: 'set', value }] };
    assert.equal(inForceBy([/** @type {Rule} */ ({ ...record, action })]), null, `a record of ${value}`);
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
  for (const [what, change] of BROKEN) assert.equal(inForceBy(recordWith(change)), null, what);
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
test('a tab that is broken in any field is not read back, and the others are', () => {
  for (const [what, change] of BROKEN_TABS) {
    const inForce = inForceBy(recordWith(({ contexts: { tabs } }) => change(tabs[0])));
    assert.deepEqual([...(inForce?.contexts?.tabs.keys() ?? [])], [8], what);
  }
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
