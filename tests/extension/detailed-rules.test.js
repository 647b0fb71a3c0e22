import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readRecord } from '../../extension/headers/record.js';
import { roomForTabs } from '../../extension/headers/rules.js';
import { CALLS, OFF, SESSION, SHOP, context, detailedRulesOf, ids, under } from './support/rules.js';
import { propagating, spanId, traceId } from './support/session.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */

const SHOP_URL = 'https://shop.test/';
const OTHER_URL = 'https://other.test/';
const DOMAINS = { targets: [SHOP], domains: ['shop.test'] };

/** What a client puts on every request of its tab, and a page of another tab on its own requests. */
const THEIRS = { traceparent: 'x', tracestate: 'y', baggage: 'z' };
const STEERED = { ...THEIRS, 'sec-ch-navtrace': 'on' };

/** The root of a client's tab. */
const ROOT = context(9, { trace: { traceId: traceId(8), spanId: spanId(9), flags: '01', tracestate: '' } });
const CLIENTS = { clients: [7], roots: new Map([[7, ROOT]]) };

const OF_SESSION = { traceparent: `00-${SESSION.traceId}-${SESSION.spanId}-00` };
const OF_CLIENT = { traceparent: `00-${traceId(8)}-${spanId(9)}-01` };

test('a listener that is asked about everything needs one rule', () => {
  for (const settings of [{}, { targets: [SHOP], exclude: ['/private'] }]) assert.deepEqual(ids(detailedRulesOf(settings, CLIENTS)), [1, 2]);
});

test('outside the domains no header of a client leaves', () => {
  for (const settings of [DOMAINS, { ...DOMAINS, ...CALLS }, { ...DOMAINS, ...CALLS, otherResources: /** @type {const} */ ('none') }]) {
    const carried = under(detailedRulesOf(settings, CLIENTS));
    for (const type of ['main_frame', 'xmlhttprequest', 'image']) {
      for (const url of [OTHER_URL, 'https://myshop.test/', 'https://shop.test.other.test/', `${OTHER_URL}?${SHOP_URL}`]) {
        assert.deepEqual(carried({ tabId: 7, type, url }, { ...STEERED, A: '1' }), { A: '1' }, `${type} ${url}`);
        // Only a client can set headers on a document's request; on others a page may.
        assert.deepEqual(carried({ tabId: 8, type, url }, STEERED), type === 'main_frame' ? {} : THEIRS, `${type} ${url}`);
      }
    }
  }
});

test('inside the domains calls are left to the listener', () => {
  for (const settings of [DOMAINS, { ...DOMAINS, ...CALLS }]) {
    const carried = under(detailedRulesOf(settings, CLIENTS));
    for (const type of ['main_frame', 'xmlhttprequest']) {
      for (const url of [SHOP_URL, 'https://www.shop.test/']) assert.deepEqual(carried({ tabId: 7, type, url }, STEERED), THEIRS, url);
    }
  }
});

test("other kinds carry the session's context by one rule", () => {
  const rules = detailedRulesOf(CALLS);
  assert.deepEqual(ids(rules), [1, 2, 4]);
  const carried = under(rules);
  for (const tabId of [7, 8, -1]) {
    assert.deepEqual(carried({ tabId, type: 'image' }), OF_SESSION);
    assert.deepEqual(carried({ tabId, type: 'xmlhttprequest' }), {});
  }
});

test("in a client's tab other kinds carry the client's context", () => {
  for (const settings of [CALLS, { ...CALLS, ...DOMAINS }]) {
    const carried = under(detailedRulesOf(settings, CLIENTS));
    const details = { type: 'image', url: SHOP_URL };
    assert.equal(carried({ ...details, tabId: 7 }, STEERED).traceparent, OF_CLIENT.traceparent);
    assert.equal(carried({ ...details, tabId: 7 }, STEERED)['sec-ch-navtrace'], undefined);
    assert.deepEqual(carried({ ...details, tabId: 8 }), OF_SESSION);
  }
});

test('with none, other kinds carry nothing of ours', () => {
  const rules = detailedRulesOf({ ...CALLS, otherResources: 'none' }, CLIENTS);
  assert.deepEqual(ids(rules), [1, 2]);
  const carried = under(rules);
  for (const tabId of [7, 8, -1]) assert.deepEqual(carried({ tabId, type: 'image' }, { 'sec-ch-navtrace': 'on', A: '1' }), { A: '1' });
  const limited = under(detailedRulesOf({ ...CALLS, ...DOMAINS, otherResources: 'none' }, CLIENTS));
  for (const url of [SHOP_URL, OTHER_URL]) assert.deepEqual(limited({ tabId: 7, type: 'image', url }, STEERED), {}, 'nor of a client');
});

test('other kinds carry nothing to what is excluded or no target', () => {
  for (const domains of [['shop.test'], []]) {
    const carried = under(detailedRulesOf({ ...CALLS, targets: [SHOP], domains, exclude: ['/private'] }, CLIENTS));
    for (const url of [OTHER_URL, 'https://www.shop.test/', `${SHOP_URL}private`]) {
      assert.deepEqual(carried({ tabId: 7, type: 'image', url }, STEERED), {}, url);
      assert.deepEqual(carried({ tabId: 8, type: 'image', url }), {}, url);
    }
    assert.deepEqual(carried({ tabId: 8, type: 'image', url: SHOP_URL }), OF_SESSION);
  }
});

test('other kinds of a tab steered off get no header', () => {
  const off = { clients: [7], roots: new Map([[7, { ...ROOT, steering: OFF }]]) };
  const carried = under(detailedRulesOf({ ...CALLS, ...DOMAINS }, off));
  assert.deepEqual(carried({ tabId: 7, type: 'image', url: SHOP_URL }, STEERED), THEIRS, 'as in lightweight mode');
  assert.deepEqual(carried({ tabId: 7, type: 'image', url: OTHER_URL }, STEERED), {});
  assert.deepEqual(carried({ tabId: 8, type: 'image', url: SHOP_URL }), OF_SESSION);
});

test('each rule has its own id, and there are not too many', () => {
  for (const [targets, exclude] of [[0, 0], [1, 5], [30, 0], [98, 0]]) {
    const sources = (/** @type {number | undefined} */ count) => Array.from({ length: Number(count) }, (_, n) => `p${n}`);
    const settings = { ...CALLS, domains: ['p'], targets: sources(targets), exclude: sources(exclude) };
    const room = Math.max(0, roomForTabs(propagating(settings)));
    const tabs = new Map(Array.from({ length: room }, (_, n) => [n, { ruleId: 10 + 2 * n, current: context(2), next: context(3) }]));
    const tabIds = [...tabs.keys()];
    const rules = detailedRulesOf(settings, { clients: tabIds, roots: new Map(tabIds.map((tabId) => [tabId, ROOT])) }, tabs);
    assert.equal(new Set(ids(rules)).size, rules.length);
    assert.ok(rules.length >= room && rules.length <= 5000);
    assert.ok(rules.filter(({ condition }) => condition.regexFilter !== undefined).length <= 1000);
  }
});

test('while paused in detailed mode no client header leaves', () => {
  for (const settings of [{}, { domains: ['shop.test'], ...CALLS }]) {
    for (const clients of [[], [7]]) {
      const rules = detailedRulesOf(settings, { clients, paused: true });
      assert.deepEqual(ids(rules), clients.length === 0 ? [1, 2] : [1, 2, 3]);
      assert.equal(readRecord(rules)?.kept?.paused, true);
      const carried = under(rules);
      for (const type of ['main_frame', 'image', 'xmlhttprequest']) {
        for (const url of [SHOP_URL, OTHER_URL]) {
          assert.deepEqual(carried({ tabId: 7, type, url }, { ...THEIRS, 'sec-ch-navtrace': 'on' }), clients.length === 0 ? THEIRS : {});
          assert.deepEqual(carried({ tabId: 8, type, url }, { ...THEIRS, 'sec-ch-navtrace': 'on' }), THEIRS, 'of a page, not of a client');
        }
      }
    }
  }
});
