import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { ClientHosts } from '../../extension/context/client-hosts.js';
import { MAX_TABS, roomForTabs } from '../../extension/headers/rules.js';
import { fakeChrome } from './support/chrome.js';
import { OPEN, PAGE, TAB, answer, carriedBy, carrying, idle, running, start, visit } from './support/headers.js';
import { left, list, navigation, request, working } from './support/injector.js';
import { context, contexts, detailedRulesOf, ids, rulesOf, steering, under, withTab } from './support/rules.js';
import { observeRequests } from './support/requests.js';
import { propagating } from './support/session.js';
import { resetMocks } from './support/worker.js';

beforeEach(() => void resetMocks());

const STRANGER = 'https://ads.test/';
const BAGGAGE = { baggage: 'k=v' };

test('the hosts of a client are those that no page has led to', () => {
  const hosts = new ClientHosts();
  assert.equal(hosts.list, null);
  assert.equal(hosts.navigated({ url: 'https://user:pw@shop.test:8443/a?b=https://ads.test/' }), true);
  assert.equal(hosts.navigated({ url: 'http://shop.test/' }), false, 'known');
  assert.equal(hosts.navigated({ url: STRANGER, initiator: 'https://shop.test' }), false);
  assert.equal(hosts.navigated({ url: STRANGER, initiator: 'null' }), false);
  for (const url of ['http://127.0.0.1:3000/', 'http://[::1]:1/']) assert.equal(hosts.navigated({ url }), true);
  for (const url of ['file:///etc/hosts', 'data:text/html,x', `https://${'a.'.repeat(130)}test/`]) assert.equal(hosts.navigated({ url }), false, url);
  assert.deepEqual(hosts.list, ['shop.test', '127.0.0.1', '[::1]']);
});

test('subdomains of a client\'s host belong to it, and nothing else', () => {
  const hosts = new ClientHosts();
  for (const url of ['https://shop.test/', 'http://10.0.0.1/', 'http://[::1]/']) hosts.navigated({ url });
  for (const url of ['https://shop.test', 'wss://api.v2.shop.test/?q', 'http://10.0.0.1:80/', 'http://[::1]:8080/', 'https://ads.test@shop.test/']) {
    assert.equal(hosts.has(url), true, url);
  }
  for (const url of [
    STRANGER, 'https://test/', 'https://myshop.test/', 'https://shop.test.evil/', 'https://shop.test@ads.test/', 'https://ads.test/shop.test',
    'https://ads.test?shop.test', 'https://ads.test#@shop.test', 'http://10.0.0.10/', 'http://[::2]/', 'data:,shop.test', `https://${'a.'.repeat(130)}shop.test/`,
  ]) assert.equal(hosts.has(url), false, url);
});

test('the host is told which navigations a page has begun', () => {
  const { requests, observed } = observeRequests();
  const starts = [undefined, 'https://shop.test', 'null'].map((initiator) => navigation({ initiator, method: 'GET' }));
  for (const details of starts) requests.started(/** @type {any} */ (details), 's', 'p');
  assert.deepEqual(observed.map((observation) => observation.navigation.byPage), [undefined, true, true]);
});

test('the oldest hosts are forgotten first', () => {
  const hosts = new ClientHosts();
  for (let n = 0; n < 101; n += 1) hosts.navigated({ url: `https://h${n}.test/` });
  assert.deepEqual([hosts.list?.length, hosts.has('https://h0.test/'), hosts.has('https://h100.test/')], [100, false, true]);
});

test('whatever shows a page may lead anywhere from then on', () => {
  for (const [url, isPage] of /** @type {[string, boolean][]} */ ([
    ['about:blank', false], ['chrome://newtab/', false], ['data:,', false], ['file:///a.html', true], ['http://shop.test/', true],
  ])) {
    const hosts = new ClientHosts();
    assert.equal(hosts.shown(url), isPage, url);
    assert.deepEqual(hosts.list, isPage ? [] : null, url);
    assert.equal(hosts.shown(url), false, 'no change');
  }
  const hosts = new ClientHosts();
  hosts.restore(null);
  assert.deepEqual(hosts.list, [], 'a worker before may have missed one');
});

test('the listener gives baggage to the hosts of the client alone', () => {
  const worker = working(BAGGAGE);
  const { clientChanged } = worker.session.events;
  const baggage = (/** @type {object} */ details) => left(worker, details).baggage;
  assert.equal(baggage(navigation({ requestId: 'n' })), 'k=v', 'the first navigation itself');
  assert.equal(clientChanged.mock.callCount(), 1);
  assert.equal(baggage(navigation({ requestId: 'n', url: STRANGER })), undefined, 'a redirect of it');
  assert.equal(baggage(navigation({ requestId: 'm', url: STRANGER, initiator: 'https://example.test' })), undefined, 'a link');
  assert.equal(clientChanged.mock.callCount(), 1);
  const theirs = list({ baggage: 'own=1' });
  for (const tabId of [TAB, -1]) {
    for (const url of [PAGE, 'wss://api.example.test/']) {
      assert.equal(baggage(request({ tabId, url })), 'k=v');
      assert.equal(baggage(request({ tabId, url, requestHeaders: [...theirs] })), 'own=1,k=v');
    }
    assert.equal(baggage(request({ tabId, url: STRANGER })), undefined);
    assert.equal(baggage(request({ tabId, url: STRANGER, requestHeaders: [...theirs] })), 'own=1', 'the page\'s own');
    assert.ok(left(worker, request({ tabId, url: STRANGER })).traceparent);
  }
});

test('where targets are named, the listener gives baggage to all of them', () => {
  const worker = working({ ...BAGGAGE, targets: ['^https://ads\\.test/'] });
  assert.equal(left(worker, request({ url: STRANGER })).baggage, 'k=v');
  assert.equal(worker.session.events.clientChanged.mock.callCount(), 0);
  working().inject(navigation());
});

test('rules give baggage to the hosts of the client alone', () => {
  const own = context(2, { baggage: 'own=1' });
  for (const type of ['script', 'main_frame']) {
    for (const tabId of [7, 99, -1]) {
      const carried = under(rulesOf(BAGGAGE, contexts, [], ['shop.test']));
      for (const url of ['https://shop.test/', 'https://api.shop.test/']) assert.equal(carried({ tabId, type, url }).baggage, 'k=v');
      assert.deepEqual(Object.keys(carried({ tabId, type, url: STRANGER })), ['traceparent']);
      assert.equal(carried({ tabId, type, url: STRANGER }, { baggage: 'page=1' }).baggage, 'page=1');
    }
    const client = under(rulesOf(BAGGAGE, withTab(own), [7], ['shop.test']));
    assert.equal(client({ tabId: 7, type, url: 'https://shop.test/' }).baggage, 'own=1,k=v');
    assert.equal(client({ tabId: 7, type, url: STRANGER }, { baggage: 'own=1' }).baggage, 'own=1', 'a client does as it likes');
    const steered = under(rulesOf(BAGGAGE, withTab(context(2, { steering: steering({ propagators: ['b3'] }) })), [7], ['shop.test']));
    assert.deepEqual(Object.keys(steered({ tabId: 7, type, url: 'https://shop.test/' })), ['b3']);
    const off = under(rulesOf(BAGGAGE, withTab(context(2, { steering: steering({ off: true }) })), [7], ['shop.test']));
    assert.deepEqual(off({ tabId: 7, type, url: 'https://shop.test/' }), {});
  }
});

test('before any page, navigations and requests of a page to its own site carry baggage', () => {
  const carried = under(rulesOf(BAGGAGE, contexts, [], null));
  for (const tabId of [7, 99]) assert.equal(carried({ tabId, type: 'main_frame', url: STRANGER }).baggage, 'k=v');
  for (const tabId of [7, 99, -1]) {
    const script = { tabId, type: 'script', url: STRANGER };
    assert.equal(carried({ ...script, initiator: 'https://www.ads.test' }).baggage, 'k=v');
    for (const other of [{}, { initiator: 'https://shop.test' }]) assert.deepEqual(Object.keys(carried({ ...script, ...other })), ['traceparent']);
  }
  const none = under(rulesOf(BAGGAGE, contexts, [], []));
  for (const type of ['main_frame', 'script']) assert.deepEqual(Object.keys(none({ tabId: 7, type, url: STRANGER })), ['traceparent']);
});

test('rules of detailed mode give baggage to the hosts of the client alone', () => {
  const carried = under(detailedRulesOf(BAGGAGE, { needsRules: () => true, hosts: ['shop.test'] }));
  for (const tabId of [7, -1]) {
    assert.equal(carried({ tabId, type: 'script', url: 'https://shop.test/' }).baggage, 'k=v');
    assert.deepEqual(Object.keys(carried({ tabId, type: 'script', url: STRANGER })), ['traceparent']);
  }
});

test('with baggage there is room for half the tabs', () => {
  const room = roomForTabs(propagating(BAGGAGE));
  assert.equal(room, MAX_TABS / 2);
  const tabs = new Map(Array.from({ length: room }, (_, n) => [n, { ruleId: 10 + 2 * n, current: context(2), next: context(3) }]));
  const rules = rulesOf(BAGGAGE, { ...contexts, tabs }, [], ['shop.test']);
  assert.equal(new Set(ids(rules)).size, rules.length);
  assert.ok(rules.length > 4 * room && rules.length <= 5000);
});

for (const granted of [true, false]) {
  const mode = granted ? 'detailed' : 'lightweight';

  test(`${mode}: a client's hosts get baggage, also after a restart`, async () => {
    const worker = await carrying(BAGGAGE, { granted });
    const { carried } = await visit(worker, '1', {}, PAGE);
    assert.equal(carried.baggage, 'k=v', 'the first navigation');
    const other = await visit(worker, '2', {}, 'https://other.test/');
    assert.equal(other.carried.baggage, granted ? 'k=v' : undefined, 'rules do not know who begins a navigation');
    const again = await visit(worker, '3', {}, 'https://other.test/');
    assert.equal(again.carried.baggage, 'k=v');
    const baggage = (/** @type {typeof worker} */ { browser }, /** @type {string} */ url) => carriedBy({ browser }, { url, type: 'image' }).baggage;
    const expected = [[PAGE, 'k=v'], ['https://api.other.test/', 'k=v'], [STRANGER, undefined]];
    assert.deepEqual(expected.map(([url = '']) => [url, baggage(worker, url)]), expected);

    const next = await carrying(BAGGAGE, { granted, restarted: true, rules: [...worker.browser.rules.values()] });
    assert.deepEqual(expected.map(([url = '']) => [url, baggage(next, url)]), expected);
  });

  test(`${mode}: a page that was open before may lead anywhere`, async () => {
    const browser = fakeChrome({ ...OPEN, granted });
    browser.state.urls.set(TAB, PAGE);
    const worker = start(browser);
    await idle();
    worker.port.receive(answer('auto', undefined, BAGGAGE));
    await idle();
    const details = { requestId: '1', tabId: TAB, type: 'main_frame', url: STRANGER, documentLifecycle: 'active', initiator: 'https://example.test' };
    assert.equal(carriedBy({ browser }, { ...details, documentId: undefined }).baggage, undefined);
  });

  test(`${mode}: without baggage a new host costs no update`, async () => {
    const worker = await running({ granted });
    await visit(worker, '1');
    const { length } = worker.updates;
    await visit(worker, '2', {}, 'https://other.test/');
    assert.equal(worker.updates.length - length, granted ? 0 : 1);
  });
}
