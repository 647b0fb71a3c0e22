import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { BrowserContexts } from '../../extension/context/browser-contexts.js';
import { newSpanId, newTraceId } from '../../extension/context/ids.js';
import { DEFAULT_PROPAGATION, EVERYTHING } from '../../extension/context/propagation.js';
import { Traces } from '../../extension/context/traces.js';
import { Injector } from '../../extension/headers/injector.js';
import { startHeaders } from '../../extension/headers/start.js';
import { Documents } from '../../extension/observe/documents.js';
import { NavigationStarts, watchNavigations } from '../../extension/observe/navigations.js';
import { Requests } from '../../extension/observe/requests.js';
import { fakeChrome, settled } from './support/chrome.js';
import { EXPOSE, INJECT, PAGE, SESSION, TAB, between, contextIn, made, navigation, request, response, serverTiming, using, working } from './support/injector.js';
import { fakeOutbox, propagating } from './support/session.js';
import { connectHost } from './support/worker.js';

/** @import { Header } from './support/chrome.js' */

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
});

test("every request has its own span id in the session's trace", () => {
  const { inject } = working();
  const contexts = Array.from({ length: 1000 }, (_, n) => contextIn(inject(request({ requestId: String(n) }))));
  assert.equal(new Set(contexts.map(({ spanId }) => spanId)).size, 1000);
  assert.ok(contexts.every(({ traceId }) => traceId === SESSION.traceId));
});

test('all requests are asked about, but only main-frame responses', () => {
  const { registered, filters } = working();
  const [inject] = registered.get(INJECT) ?? [];
  assert.deepEqual(filters(INJECT), [EVERYTHING]);
  assert.deepEqual(filters(EXPOSE), [{ ...EVERYTHING, types: ['main_frame'] }]);
  assert.ok(inject?.extra.includes('extraHeaders'), 'else requests to other origins get preflights');
});

for (const name of ['traceparent', 'Traceparent', 'TRACEPARENT', 'tRaCePaReNt']) {
  test(`a header ${name} that is there already is replaced`, () => {
    const { inject } = working();
    const others = [{ name: 'A', value: '1' }, { name: 'B', value: '2' }];
    const before = `00-${'f'.repeat(32)}-${'f'.repeat(16)}-00`;
    const headers = inject(request({ requestHeaders: [others[0], { name, value: before }, others[1]] }));
    assert.equal(contextIn(headers).traceId, SESSION.traceId);
    assert.equal(headers[2]?.name, 'traceparent');
    assert.deepEqual(headers.slice(0, 2), others);
  });
}

test('a header whose value is no text is replaced as well', () => {
  const { inject } = working();
  const headers = inject(request({ requestHeaders: [{ name: 'traceparent', binaryValue: [255, 254] }] }));
  assert.equal(contextIn(headers).traceId, SESSION.traceId);
});

test('all other headers stay as they are', () => {
  const { inject } = working();
  const others = [
    { name: 'Cookie', value: 'a=b' },
    { name: 'X-Traceparent', value: '1' },
    { name: 'traceparent2', value: '1' },
    { name: 'tracepArenx', value: '1' },
    { name: 'binary', binaryValue: [255] },
    { name: 'Empty', value: '' },
  ];
  const headers = inject(request({ requestHeaders: others }));
  assert.equal(contextIn(headers).traceId, SESSION.traceId);
  assert.deepEqual(headers.filter(({ name }) => name !== 'traceparent'), others);
});

test('redirect hops are one navigation with a span id each', () => {
  const { inject, named, begin, tabs } = working();
  const hops = [1, 2, 3].map(() => {
    const { spanId } = contextIn(inject(navigation()));
    const location = [{ name: 'Location', value: '/' }];
    return { spanId, named: named(response({ statusCode: 302, responseHeaders: location })) };
  });
  assert.equal(new Set(hops.map(({ spanId }) => spanId)).size, 3);
  const [first] = begin.mock.calls;
  assert.ok(first?.result);
  assert.deepEqual(begin.mock.calls.map(({ result }) => result?.spanId), Array(3).fill(first.result.spanId));
  assert.deepEqual(tabs.navigation(TAB, '1'), first.result);
  for (const hop of hops) {
    assert.deepEqual(hop.named, [serverTiming(first.result)]);
    assert.notEqual(hop.spanId, first.result.spanId);
  }
});

test('another navigation of the same tab is named otherwise', () => {
  const { inject, named } = working();
  inject(navigation({ requestId: '1' }));
  inject(navigation({ requestId: '2' }));
  const [[a], [b]] = [named(response({ requestId: '1' })), named(response({ requestId: '2' }))];
  assert.ok(a && b);
  assert.notDeepEqual(a, b);
});

test('requests of a document have the flags of its navigation', () => {
  const { inject, tabs } = working();
  tabs.requested(TAB, '1', { spanId: 'c'.repeat(16), flags: '03' });
  tabs.responded(TAB, '1', PAGE);
  assert.equal(contextIn(inject(request({ requestId: '2' }))).flags, '03');
  assert.equal(contextIn(inject(navigation({ requestId: '3' }))).flags, '01', 'a navigation has its own at once');
  assert.equal(contextIn(inject(request({ requestId: '4' }))).flags, '03', 'and the page keeps its own for now');
});

test('a redirect hop of an earlier navigation has its flags', () => {
  const { inject, tabs } = working();
  tabs.requested(TAB, '1', { spanId: 'c'.repeat(16), flags: '03' });
  assert.equal(contextIn(inject(navigation())).flags, '03');
});

for (const [what, details] of /** @type {[string, object][]} */ ([
  ['a request without a tab', { tabId: -1 }],
  ['a main frame without a tab', { tabId: -1, type: 'main_frame', documentId: undefined }],
  ['a request of an unknown tab', { tabId: 9000 }],
])) {
  test(`${what} has the flags of the session`, () => {
    const { inject, begin } = working();
    assert.deepEqual({ ...contextIn(inject(request(details))), spanId: '' }, { ...SESSION, spanId: '' });
    assert.equal(begin.mock.callCount(), 0);
  });
}

for (const [what, details] of /** @type {[string, object][]} */ ([
  ['a prefetch', { documentId: 'd' }],
  ['a prerender', { documentLifecycle: 'prerender' }],
])) {
  test(`${what} begins no navigation and names none`, () => {
    const { inject, named, begin, tabs } = working();
    tabs.requested(TAB, '0', { spanId: 'c'.repeat(16), flags: '03' });
    tabs.responded(TAB, '0', PAGE);
    assert.equal(contextIn(inject(navigation(details))).flags, '03', "the page's");
    assert.equal(begin.mock.callCount(), 0);
    assert.equal(tabs.navigation(TAB, '1'), undefined);
    assert.deepEqual(named(response(details)), []);
  });
}

test('the handshake of a WebTransport is left alone and not observed', () => {
  const { inject, started, ignore } = working();
  const before = started.mock.callCount();
  const headers = JSON.stringify(inject(request({ type: 'webtransport', method: 'CONNECT', requestId: '5' })) ?? []);
  assert.ok(!headers.includes('traceparent'), headers);
  assert.equal(started.mock.callCount(), before);
  assert.deepEqual(ignore.mock.calls.map(({ arguments: [requestId] }) => requestId), ['5']);
});

test('a frame of a page is no navigation of the tab', () => {
  const { inject, begin, tabs } = working();
  tabs.requested(TAB, '0', { spanId: 'c'.repeat(16), flags: '03' });
  tabs.responded(TAB, '0', PAGE);
  assert.equal(contextIn(inject(navigation({ type: 'sub_frame' }))).flags, '03');
  assert.equal(begin.mock.callCount(), 0);
});

test("a navigation's response names it and keeps other headers", () => {
  const { inject, fire, tabs } = working();
  inject(navigation());
  const context = tabs.navigation(TAB, '1');
  assert.ok(context);
  const headers = [{ name: 'Content-Type', value: 'text/html' }, { name: 'Server-Timing', value: 'db;dur=1' }];
  const own = { name: 'server-timing', value: 'traceparent;desc="00-1"' };
  const { responseHeaders } = fire(EXPOSE, response({ responseHeaders: [...headers, own] }));
  assert.deepEqual(responseHeaders, [...headers, serverTiming(context)]);
});

test('a response names its navigation after another listener too', () => {
  const { inject, named, tabs } = working();
  inject(navigation());
  const context = tabs.navigation(TAB, '1');
  assert.ok(context);
  tabs.responded(TAB, '1', PAGE);
  assert.deepEqual(named(response()), [serverTiming(context)]);
});

for (const [what, details] of /** @type {[string, object][]} */ ([
  ['another request', { requestId: '2' }],
  ['another tab', { tabId: TAB + 1 }],
  ['no tab', { tabId: -1 }],
])) {
  test(`a response of ${what} is left as it is`, () => {
    const { inject, fire } = working();
    inject(navigation());
    assert.deepEqual(fire(EXPOSE, response(details)), {});
  });
}

test('before the session is known requests share one valid trace', () => {
  const { fire } = fakeChrome({ granted: true });
  made().injector.listen();
  const requests = [request(), request({ tabId: -1 }), navigation()];
  const contexts = requests.map((details) => contextIn(fire(INJECT, details).requestHeaders));
  assert.equal(new Set(contexts.map(({ traceId }) => traceId)).size, 1);
  assert.equal(new Set(contexts.map(({ spanId }) => spanId)).size, 3);
  assert.deepEqual(fire(EXPOSE, response()), {});
});

test('a resumed context is on requests until more is known', () => {
  const { fire } = fakeChrome({ granted: true });
  const { injector } = made();
  injector.listen();
  injector.resume(SESSION, propagating());
  const { traceId, flags } = contextIn(fire(INJECT, navigation()).requestHeaders);
  assert.deepEqual({ traceId, flags }, { traceId: SESSION.traceId, flags: SESSION.flags });
});

test('a navigation uses the session before its request leaves', () => {
  const { inject, session } = working();
  inject(request());
  assert.equal(session.use.mock.callCount(), 0);
  inject(navigation());
  assert.equal(session.use.mock.callCount(), 1);
});

for (const [what, details] of Object.entries({
  '204': { statusCode: 204, responseHeaders: [] },
  download: { responseHeaders: [{ name: 'Content-Disposition', value: 'attachment' }] },
})) {
  for (const order of ['reported before', 'reported after']) {
    test(`the response of a ${what} names its navigation, ${order}`, () => {
      const { inject, named, tabs } = working();
      inject(navigation());
      if (order === 'reported before') tabs.responded(TAB, '1', null);
      const [header] = named(response(details));
      assert.ok(header?.value?.includes(SESSION.traceId));
    });
  }
}

test('the injector changes to another session', () => {
  const { inject, named, injector, tabs } = working();
  const other = { traceId: 'e'.repeat(32), spanId: 'e'.repeat(16), flags: '01' };
  const session = using(other);
  injector.start({ session, tabs, traces: new Traces(session, fakeOutbox(), session.events, new BrowserContexts()) });
  assert.equal(contextIn(inject(navigation())).traceId, other.traceId);
  assert.ok(named(response())[0]?.value?.includes(other.traceId));
});

test('the injector listens once, however often it is started', () => {
  const { injector, session, tabs, traces, blocking } = working();
  injector.listen();
  injector.start({ session, tabs, traces });
  assert.deepEqual(blocking(), [INJECT, EXPOSE]);
  injector.stop();
  assert.deepEqual(blocking(), []);
});

test('a stopped injector leaves requests alone', () => {
  const { fire, injector, session, tabs, traces } = working();
  injector.stop();
  injector.stop();
  assert.equal(fire(INJECT, request()), undefined);
  assert.equal(fire(EXPOSE, response()), undefined);
  injector.start({ session, tabs, traces });
  assert.equal(contextIn(fire(INJECT, request()).requestHeaders).traceId, SESSION.traceId);
});

test('stopping what has never listened does no harm', () => {
  const { listening } = fakeChrome({ granted: true });
  made().injector.stop();
  assert.deepEqual(listening(), []);
});

test('the injector knows whether the browser asks', () => {
  const { fire, injector } = working();
  assert.equal(injector.asked, false);
  fire(INJECT, request());
  assert.equal(injector.asked, true);

  const browser = fakeChrome({ granted: true, asks: false });
  const { injector: ignored } = made();
  ignored.listen();
  assert.equal(browser.fire(INJECT, request()), undefined);
  assert.equal(ignored.asked, false);
});

test('the listener answers at once and sends nothing before', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted: true });
  const { fallback, session, host, outbox } = connectHost();
  const [documents, starts] = [new Documents(), new NavigationStarts()];
  const requests = new Requests(outbox, starts, session);
  const injector = new Injector(fallback, documents, requests);
  const navigations = watchNavigations(new Promise(() => {}), { outbox, documents, starts });
  const ready = startHeaders(session, host, { injector, navigations }, { outbox, documents, requests });
  await settled();
  const [port] = browser.ports;
  assert.ok(port);
  const contexts = Array.from({ length: 96 }, () => ({ spanId: newSpanId(), flags: '01' }));
  const traces = Array.from({ length: 8 }, () => ({ traceId: newTraceId(), spanId: newSpanId(), flags: '01' }));
  const propagation = DEFAULT_PROPAGATION;
  port.receive({ v: 1, type: 'session', host: '0.1.0', mode: 'auto', exports: true, webVitals: false, propagation, session: SESSION, contexts, traces });
  await ready;
  await settled();
  const { listener } = browser.registered.get(INJECT)?.find(({ extra }) => extra.includes('blocking')) ?? {};
  assert.ok(listener);
  const sent = port.sent.length;
  const { length: calls } = browser.calls;
  for (let n = 0; n < 200; n += 1) {
    /** @type {{ requestHeaders: Header[] }} */
    const answer = listener(navigation({ requestId: `n${n}` }));
    assert.deepEqual(Object.keys(answer), ['requestHeaders']);
    assert.equal(contextIn(answer.requestHeaders).traceId, SESSION.traceId);
  }
  assert.equal(port.sent.length, sent, 'although the stock of contexts is used up');
  assert.equal(browser.calls.length, calls);
  assert.equal(browser.updates.length, 1);
  await settled();
  assert.deepEqual(port.sent.slice(sent), [{ v: 1, type: 'replenish', count: 96, traces: 0 }]);
});

test('each request is observed as it leaves, with its navigation', () => {
  const { inject, tabs, told, started } = working();
  const { spanId } = contextIn(inject(navigation()));
  assert.deepEqual(told(), [spanId, tabs.navigation(TAB, '1')?.spanId, undefined, undefined]);
  tabs.responded(TAB, '1', PAGE);
  const { spanId: other } = contextIn(inject(request({ requestId: '2' })));
  assert.deepEqual(told(), [other, tabs.navigation(TAB, '1')?.spanId, undefined, undefined]);
  assert.equal(started.mock.callCount(), 2);
  assert.equal(started.mock.calls[1]?.arguments[0].requestId, '2');
});

test('a request of the session itself has no parent', () => {
  const { inject, told } = working();
  for (const details of [{ tabId: -1 }, { tabId: 9000 }, { tabId: TAB }]) {
    const { spanId } = contextIn(inject(request(details)));
    assert.deepEqual(told(), [spanId, undefined, undefined, undefined]);
  }
});

test('before the session is known requests have no parent', () => {
  const { fire } = fakeChrome({ granted: true });
  const { injector, told } = made();
  injector.listen();
  const first = contextIn(fire(INJECT, navigation()).requestHeaders);
  assert.deepEqual(told(), [first.spanId, undefined, first.traceId, undefined]);
  injector.resume(SESSION, propagating());
  const second = contextIn(fire(INJECT, request()).requestHeaders);
  assert.deepEqual(told(), [second.spanId, undefined, SESSION.traceId, undefined]);
});

/** @type {[what: string, details: object, belongs: 'shown' | 'coming'][]} */
const BETWEEN = [
  ['the document that is still there', { documentId: 'shown' }, 'shown'],
  ['a frame of it that is not known yet', { documentId: 'frame', parentDocumentId: 'shown' }, 'shown'],
  ['a frame that it opens', { type: 'sub_frame', documentId: undefined, parentDocumentId: 'shown' }, 'shown'],
  ['a new, unknown document', { documentId: 'coming' }, 'coming'],
  ['a document without an id', { documentId: undefined }, 'coming'],
  ['the old document, in no tab', { tabId: -1, documentId: 'shown' }, 'shown'],
  ['a page that it fetches ahead', { type: 'main_frame', documentId: 'shown' }, 'shown'],
];
for (const [what, details, belongs] of BETWEEN) {
  test(`before a commit: ${what} (${belongs})`, () => {
    const { inject, told, ...navigations } = between();
    const { spanId, flags } = contextIn(inject(request({ requestId: '2', ...details })));
    assert.deepEqual(told(), [spanId, navigations[belongs].spanId, undefined, undefined]);
    assert.equal(flags, navigations[belongs].flags);
  });
}

test('a navigation is never the one of the document that it leaves', () => {
  const { inject, told, tabs } = between();
  inject(navigation({ requestId: '2', parentDocumentId: 'shown' }));
  assert.equal(told()?.[1], tabs.navigation(TAB, '2')?.spanId);
});
