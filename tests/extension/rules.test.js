import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULT_PROPAGATION, Propagation } from '../../extension/context/propagation.js';
import { formatTraceparent } from '../../extension/context/traceparent.js';
import { freeRuleId, roomForTabs } from '../../extension/headers/rules.js';
import { BANK, DETAILED, OFF, SESSION, SHOP, TYPES, context, contexts, ids, rulesOf, steering, under, withTab } from './support/rules.js';
import { spanId } from './support/session.js';
import { parseTraceparent } from './support/traceparent.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */

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
    [10, 4, [7], ['image', 'script'], `00-${trace}-0000000000000002-01`],
    [11, 5, [7], ['main_frame'], `00-${trace}-0000000000000003-01`],
    [12, 4, [8], ['image', 'script'], `00-${trace}-0000000000000004-01`],
    [13, 5, [8], ['main_frame'], `00-${trace}-0000000000000004-01`],
  ]);
});

test('every context rule sets one header, next names it, and the root removes other formats', () => {
  /** @type {(number | undefined)[]} */
  const naming = [];
  const [record, steeringRule, ...others] = rulesOf();
  assert.deepEqual(record?.condition, DETAILED.condition);
  assert.deepEqual(steeringRule?.action, { type: 'modifyHeaders', requestHeaders: ['sec-ch-navtrace', 'navtrace'].map((header) => ({ header, operation: 'remove' })) });
  for (const { condition, action } of others) {
    assert.equal(action.type, 'modifyHeaders');
    const [{ value, ...set } = {}, ...removed] = action.requestHeaders ?? [];
    assert.deepEqual(set, { header: 'traceparent', operation: 'set' });
    // The root's rule matches whatever the others match.
    const foreign = condition.tabIds === undefined && condition.resourceTypes?.length === TYPES.length ? new Propagation().removedFields : [];
    assert.deepEqual(removed, ['tracestate', ...foreign].map((header) => ({ header, operation: 'remove' })));
    if (action.responseHeaders === undefined) continue;
    const named = [{ header: 'Server-Timing', operation: 'append', value: `traceparent;desc="${value}"` }];
    assert.deepEqual(action.responseHeaders, named);
    assert.deepEqual(condition.resourceTypes, ['main_frame']);
    assert.equal(condition.tabIds?.length, 1);
    naming.push(condition.tabIds?.[0]);
  }
  // Every rule that matches appends, so two would name two contexts.
  assert.deepEqual(naming, [7, 8]);
});

test('a tab gets the lowest pair of rule ids that is free', () => {
  assert.equal(freeRuleId([]), 10);
  assert.equal(freeRuleId(contexts.tabs.values()), 14);
  assert.equal(freeRuleId([{ ruleId: 12, current: context(1), next: context(1) }]), 10);
});

test('each target has its own rules, and only targets get contexts', () => {
  const rules = rulesOf({ targets: [SHOP, BANK] });
  assert.deepEqual(ids(rules), [1, 2, 4, 10_004, 5, 10_005, 10, 10_010, 11, 10_011, 12, 10_012, 13, 10_013]);
  for (const { id, condition } of rules.slice(2)) {
    assert.equal(condition.regexFilter, id < 10_000 ? SHOP : BANK);
    assert.equal(condition.isUrlFilterCaseSensitive, true);
  }
  const carried = under(rules);
  for (const [url, parent] of /** @type {[string, string | undefined][]} */ ([
    ['https://shop.test/', `00-${SESSION.traceId}-${spanId(2)}-01`],
    ['https://bank.test/b', `00-${SESSION.traceId}-${spanId(2)}-01`],
    ['https://bank.test/B', undefined],
    ['https://other.test/', undefined],
    ['https://other.test/?https://shop.test/', undefined],
  ])) {
    assert.equal(carried({ tabId: 7, url }).traceparent, parent, url);
  }
  assert.equal(carried({ tabId: 7, type: 'main_frame', url: 'https://shop.test/' }).traceparent, `00-${SESSION.traceId}-${spanId(3)}-01`);
  assert.equal(carried({ tabId: 99, type: 'main_frame', url: 'https://shop.test/' }).traceparent, `00-${SESSION.traceId}-${spanId(1)}-01`);
});

test('the collector gets no headers, and takes no regular expression', () => {
  const collector = ['http://localhost:4318/v1/traces', 'http://[::1]:4318/v1/traces'];
  for (const settings of [{}, { targets: ['^http://'], exclude: ['/private'] }]) {
    const rules = rulesOf({ ...settings, collector });
    const filters = rules.filter(({ action }) => action.type === 'allow').map(({ condition }) => condition.urlFilter ?? null);
    assert.deepEqual(filters.filter((filter) => filter !== null), collector.map((address) => `|${address}^`));
    const carried = under(rules);
    for (const address of collector) {
      for (const url of [address, `${address}?key=1`]) assert.deepEqual(carried({ tabId: 7, type: 'script', url }, { A: '1' }), { A: '1' }, url);
      for (const url of [`${address}s`, address.replace('4318', '4319')]) assert.ok(carried({ tabId: 7, type: 'script', url }).traceparent, url);
    }
  }
});

test('excluded addresses carry nothing, whatever else matches', () => {
  const rules = rulesOf({ targets: [SHOP], exclude: ['/private', '\\.png$'] });
  const excluding = rules.filter(({ action }) => action.type === 'allow');
  assert.deepEqual(excluding.map(({ condition }) => [condition.regexFilter, condition.isUrlFilterCaseSensitive, condition.resourceTypes]), [
    ['/private', true, TYPES],
    ['\\.png$', true, TYPES],
  ]);
  const carried = under(rules);
  for (const type of ['main_frame', 'script']) {
    for (const url of ['https://shop.test/private', 'https://shop.test/a.png']) {
      assert.deepEqual(carried({ tabId: 7, type, url }, { 'sec-ch-navtrace': 'on', A: '1' }), { A: '1' }, url);
    }
    assert.ok(carried({ tabId: 7, type, url: 'https://shop.test/' }).traceparent);
  }
});

test('rule ids differ for any number of targets and exclusions', () => {
  for (const [targets, exclude, tabs] of [[150, 150, 3], [1, 100, 400], [0, 20, 2400], [99, 5, 20]]) {
    const all = new Map(Array.from({ length: Number(tabs) }, (_, n) => [n, { ruleId: 10 + 2 * n, current: context(2), next: context(3) }]));
    const sources = (/** @type {number | undefined} */ count) => Array.from({ length: Number(count) }, (_, n) => `p${n}`);
    const rules = rulesOf({ targets: sources(targets), exclude: sources(exclude) }, { ...contexts, tabs: all }, [0, 1]);
    assert.equal(new Set(ids(rules)).size, rules.length, `${targets} targets`);
    assert.ok(rules.every(({ id }) => id < 2 ** 31));
  }
});

test("there is room for tabs up to the browser's limit of rules", () => {
  for (const [targets, exclude] of [[0, 0], [0, 50], [1, 0], [1, 5], [5, 20], [30, 0], [49, 3], [98, 0]]) {
    const sources = (/** @type {number | undefined} */ count) => Array.from({ length: Number(count) }, (_, n) => `p${n}`);
    const settings = { ...DEFAULT_PROPAGATION, targets: sources(targets), exclude: sources(exclude) };
    const room = Math.max(0, roomForTabs(settings));
    assert.ok(room > 0 || Number(targets) > 90, `${targets} targets`);
    const all = new Map(Array.from({ length: room }, (_, n) => [n, { ruleId: 10 + 2 * n, current: context(2), next: context(3) }]));
    const rules = rulesOf(settings, { ...contexts, tabs: all }, [...all.keys()]);
    assert.ok(rules.filter(({ condition }) => condition.regexFilter !== undefined).length <= 1000, `${targets} and ${exclude}`);
    assert.ok(rules.length <= 5000);
  }
  assert.ok(roomForTabs({ ...DEFAULT_PROPAGATION, targets: Array(150).fill('x') }) <= 0);
});

test('a page steered off keeps its own headers and gets none', () => {
  const rules = rulesOf({}, withTab(context(2, { steering: OFF }), context(3)));
  assert.deepEqual(rules.find(({ id }) => id === 10)?.action, { type: 'allow' });
  const carried = under(rules);
  const own = { traceparent: 'x', tracestate: 'y' };
  assert.deepEqual(carried({ tabId: 7 }, { ...own, 'sec-ch-navtrace': 'off' }), own);
  assert.equal(carried({ tabId: 7, type: 'main_frame' }).traceparent, `00-${SESSION.traceId}-${spanId(3)}-01`, 'the next one is not');
  assert.equal(carried({ tabId: 8 }).traceparent, `00-${SESSION.traceId}-${SESSION.spanId}-00`, 'nor is another tab');
  const next = under(rulesOf({}, withTab(context(2), context(3, { steering: OFF }))));
  assert.deepEqual(next({ tabId: 7, type: 'main_frame' }, { 'Sec-CH-NavTrace': 'off' }), {});
  assert.ok(next({ tabId: 7 }).traceparent);
});

test("a client's headers go to targets only, replaced by ours", () => {
  const settings = { propagators: /** @type {const} */ (['tracecontext', 'baggage', 'b3']), targets: [SHOP], exclude: ['/private'] };
  const headers = { traceparent: 'x', tracestate: 'y', baggage: 'z', b3: 'w', A: '1' };
  const carried = under(rulesOf({ ...settings, propagators: [...settings.propagators] }, contexts, [7]));
  for (const type of ['main_frame', 'script']) {
    for (const url of ['https://other.test/', 'https://shop.test/private', 'https://other.test/private']) {
      assert.deepEqual(carried({ tabId: 7, type, url }, { ...headers, 'sec-ch-navtrace': 'on' }), { A: '1' }, `${type} ${url}`);
      assert.deepEqual(carried({ tabId: 8, type, url }, headers), headers, 'another tab, which has no such client');
    }
    const { traceparent, tracestate, b3 } = carried({ tabId: 7, type, url: 'https://shop.test/' }, headers);
    assert.equal(parseTraceparent(traceparent)?.traceId, SESSION.traceId);
    assert.equal(tracestate, undefined);
    assert.ok(b3?.startsWith(SESSION.traceId));
  }
});

test('with every address a target, no rule removes client headers', () => {
  assert.deepEqual(ids(rulesOf({}, contexts, [7])), ids(rulesOf()));
});

test('a page steered off keeps client headers for targets only', () => {
  const carried = under(rulesOf({ targets: [SHOP] }, withTab(context(2, { steering: OFF })), [7]));
  assert.deepEqual(carried({ tabId: 7, url: 'https://shop.test/' }, { traceparent: 'x', 'sec-ch-navtrace': 'off' }), { traceparent: 'x' });
  assert.deepEqual(carried({ tabId: 7, url: 'https://other.test/' }, { traceparent: 'x', 'sec-ch-navtrace': 'off' }), {});
});

const A = SESSION.traceId;
/** @type {[propagators: PropagationSettings['propagators'], carried: Record<string, string>][]} */
const FORMATS = [
  [['tracecontext'], { traceparent: `00-${A}-${spanId(2)}-01`, tracestate: 's=1' }],
  [['baggage'], { baggage: 'k=v' }],
  [['b3'], { b3: `${A}-${spanId(2)}-1` }],
  [['b3multi'], { 'x-b3-traceid': A, 'x-b3-spanid': spanId(2), 'x-b3-sampled': '1' }],
  [['jaeger'], { 'uber-trace-id': `${A}:${spanId(2)}:0:1` }],
  [
    ['tracecontext', 'baggage', 'b3'],
    { traceparent: `00-${A}-${spanId(2)}-01`, tracestate: 's=1', baggage: 'k=v', b3: `${A}-${spanId(2)}-1` },
  ],
  [[], {}],
];
for (const [propagators, expected] of FORMATS) {
  test(`requests carry ${propagators.join(', ') || 'nothing'}`, () => {
    const settings = { propagators, tracestate: 's=1', baggage: 'k=v' };
    const theirs = Object.fromEntries(Object.keys(expected).map((name) => [name, 'theirs']));
    /** @type {Record<string, string>} */
    const multi = propagators.includes('b3multi') ? { 'x-b3-flags': '1', 'x-b3-parentspanid': 'theirs' } : {};
    assert.deepEqual(under(rulesOf(settings, contexts, [], ['example.test']))({ tabId: 7 }, { ...theirs, ...multi }), expected);
  });

  test(`a page steered to ${propagators.join(', ') || 'nothing'}`, () => {
    const configured = { tracestate: 's=1', baggage: 'k=v', propagators: /** @type {PropagationSettings['propagators']} */ (['tracecontext', 'baggage', 'jaeger']) };
    const rules = rulesOf(configured, withTab(context(2, { steering: steering({ propagators }) })), [], ['example.test']);
    for (const type of ['script', 'main_frame']) {
      assert.deepEqual(under(rules)({ tabId: 7, type }, { traceparent: 'x', tracestate: 'y', 'uber-trace-id': 'z' }), expected);
    }
    assert.ok(under(rules)({ tabId: 8 }).traceparent);
  });
}

test("steering away from baggage leaves a page its own", () => {
  const rules = rulesOf({}, withTab(context(2, { steering: steering({ propagators: ['b3'] }) })));
  assert.deepEqual(under(rules)({ tabId: 7 }, { baggage: 'k=v' }), { baggage: 'k=v', b3: `${A}-${spanId(2)}-1` });
});

test('a navigation is not steered like the page before it', () => {
  const rules = rulesOf({}, withTab(context(2, { steering: steering({ propagators: ['b3', 'jaeger'] }) }), context(3)));
  assert.deepEqual(under(rules)({ tabId: 7, type: 'main_frame' }), { traceparent: `00-${A}-${spanId(3)}-01` });
  assert.deepEqual(Object.keys(under(rules)({ tabId: 7 })), ['b3', 'uber-trace-id']);
});

test('without propagators the record and steering rules remain', () => {
  assert.deepEqual(ids(rulesOf({ propagators: [] }, contexts, [7])), [1, 2]);
  const carried = under(rulesOf({ propagators: [], targets: [SHOP] }, contexts, [7]));
  assert.deepEqual(carried({ tabId: 7 }, { traceparent: 'x', 'Sec-CH-NavTrace': 'off' }), { traceparent: 'x' });
});

test('the steering header is removed everywhere', () => {
  for (const [settings, clients] of /** @type {[Partial<PropagationSettings>, number[]][]} */ ([
    [{}, []],
    [{ targets: [SHOP] }, [7]],
    [{ exclude: [SHOP] }, [7]],
    [{ propagators: ['b3'] }, [7]],
  ])) {
    const carried = under(rulesOf(settings, withTab(context(2), context(3, { steering: OFF })), clients));
    for (const url of ['https://shop.test/', 'https://other.test/']) {
      for (const type of ['script', 'main_frame']) {
        for (const tabId of [7, 8, -1]) assert.equal(carried({ tabId, type, url }, { 'Sec-CH-NavTrace': 'off' })['Sec-CH-NavTrace'], undefined);
      }
    }
  }
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

test('with none, only kinds with their own spans carry contexts', () => {
  const settings = /** @type {const} */ ({ resources: ['main_frame', 'script'], otherResources: 'none', exclude: [BANK] });
  const carried = under(rulesOf({ ...settings, resources: [...settings.resources], exclude: [...settings.exclude] }, contexts, [7]));
  const value = carried({ tabId: 7, type: 'script' }, { traceparent: 'x' }).traceparent;
  assert.equal(value, `00-${A}-${spanId(2)}-01`);
  assert.deepEqual(carried({ tabId: 7, type: 'image' }, { traceparent: 'x', 'sec-ch-navtrace': 'on', A: '1' }), { A: '1' });
  assert.deepEqual(carried({ tabId: 8, type: 'image' }), {});
});

test('lightweight: without a choice other kinds carry the same', () => {
  assert.deepEqual(rulesOf({ resources: ['main_frame'] }).slice(1), rulesOf().slice(1));
});
