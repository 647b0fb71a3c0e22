import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { newSpanId, newTraceId } from '../../extension/context/ids.js';
import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { fallbackSession } from '../../extension/context/session.js';
import { Traces } from '../../extension/context/traces.js';
import { Injector } from '../../extension/headers/injector.js';
import { startHeaders } from '../../extension/headers/start.js';
import { Tabs } from '../../extension/headers/tabs.js';
import { Documents } from '../../extension/observe/documents.js';
import { NavigationStarts, watchNavigations } from '../../extension/observe/navigations.js';
import { Requests } from '../../extension/observe/requests.js';
import { fakeChrome, settled } from './support/chrome.js';
import { fakeOutbox, fakeSession, propagating } from './support/session.js';
import { parseTraceparent } from './support/traceparent.js';
import { connectHost } from './support/worker.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */
/** @import { Header } from './support/chrome.js' */

const TAB = 100;
const PAGE = 'https://example.test/';
const SESSION = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

const INJECT = 'webRequest.onBeforeSendHeaders';
const EXPOSE = 'webRequest.onHeadersReceived';

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
});

/** @param {object} [details] */
const request = (details) => ({
  requestId: '1',
  tabId: TAB,
  type: 'script',
  method: 'GET',
  url: PAGE,
  documentId: 'd',
  documentLifecycle: 'active',
  timeStamp: 1,
  requestHeaders: [],
  ...details,
});

/** @param {object} [details] */
const navigation = (details) => request({ type: 'main_frame', documentId: undefined, ...details });

/** @param {object} [details] */
const response = (details) =>
  navigation({ statusCode: 200, responseHeaders: [{ name: 'Content-Type', value: 'text/html' }], ...details });

/** @param {Header[]} headers @param {string} wanted */
const all = (headers, wanted) => headers.filter(({ name }) => name.toLowerCase() === wanted);

/**
 * Reads the one header that a request may have.
 *
 * @param {Header[]} headers
 */
function contextIn(headers) {
  const values = all(headers, 'traceparent').map(({ value }) => value);
  assert.equal(values.length, 1, `${values.length} headers`);
  const context = parseTraceparent(values[0]);
  assert.ok(context, `${values[0]} is a traceparent`);
  return context;
}

/** @param {typeof SESSION} context @param {Partial<PropagationSettings>} [settings] */
const using = (context, settings) => fakeSession(settings, { context, flags: '01' });

/** An injector that knows no documents, and what it tells of requests. */
function made() {
  const documents = new Documents();
  const started = mock.fn((/** @type {any} */ _details, /** @type {any[]} */ ..._told) => {});
  const ignore = mock.fn((/** @type {string} */ _requestId) => {});
  const injector = new Injector(fallbackSession(), documents, { started, ignore });
  /** What was told last: the request's own span id, its parent, its trace, and what the page says of it. */
  const told = () => started.mock.calls.at(-1)?.arguments.slice(1);
  return { injector, documents, told, started, ignore };
}

/**
 * An injector at work for a session with one tab. Its navigations carry flags that the session does not.
 *
 * @param {Partial<PropagationSettings>} [settings]
 */
function working(settings) {
  const browser = fakeChrome({ granted: true });
  const { injector, ...observers } = made();
  const session = using(SESSION, settings);
  const outbox = fakeOutbox();
  const traces = new Traces(session, outbox, session.problem);
  const tabs = new Tabs(session, traces);
  tabs.opened([TAB], [TAB - 1]);
  injector.start({ session, tabs, traces });
  const begin = mock.method(tabs, 'begin');
  /** @param {object} details @returns {Header[]} */
  const inject = (details) => browser.fire(INJECT, details).requestHeaders;
  /** @param {object} details @returns {Header[]} what scripts are told */
  const named = (details) => all(browser.fire(EXPOSE, details).responseHeaders ?? [], 'server-timing');
  return { ...browser, ...observers, ...outbox, session, traces, injector, tabs, begin, inject, named };
}

/** @param {{ spanId: string, flags: string }} context */
const serverTiming = ({ spanId, flags }) => ({
  name: 'Server-Timing',
  value: `traceparent;desc="00-${SESSION.traceId}-${spanId}-${flags}"`,
});

test('every request gets a span id of its own in the trace of the session', () => {
  const { inject } = working();
  const contexts = Array.from({ length: 1000 }, (_, n) => contextIn(inject(request({ requestId: String(n) }))));
  assert.equal(new Set(contexts.map(({ spanId }) => spanId)).size, 1000);
  assert.ok(contexts.every(({ traceId }) => traceId === SESSION.traceId));
});

test('requests of every kind are asked about, and only responses of main frames', () => {
  const { registered } = working();
  const [inject] = registered.get(INJECT) ?? [];
  const [expose] = registered.get(EXPOSE) ?? [];
  assert.equal(inject?.types, null);
  assert.deepEqual(expose?.types, ['main_frame']);
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

test('the hops of a redirect are one navigation, and each has a span id of its own', () => {
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

test('a redirect hop of a navigation from before has the flags of that one', () => {
  const { inject, tabs } = working();
  tabs.requested(TAB, '1', { spanId: 'c'.repeat(16), flags: '03' });
  assert.equal(contextIn(inject(navigation())).flags, '03');
});

for (const [what, details] of /** @type {[string, object][]} */ ([
  ['a request without a tab', { tabId: -1 }],
  ['a main frame without a tab', { tabId: -1, type: 'main_frame', documentId: undefined }],
  ['a request of a tab that nothing is known of', { tabId: 9000 }],
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
  test(`${what} begins no navigation, and its response names none`, () => {
    const { inject, named, begin, tabs } = working();
    tabs.requested(TAB, '0', { spanId: 'c'.repeat(16), flags: '03' });
    tabs.responded(TAB, '0', PAGE);
    assert.equal(contextIn(inject(navigation(details))).flags, '03', "the page's");
    assert.equal(begin.mock.callCount(), 0);
    assert.equal(tabs.navigation(TAB, '1'), undefined);
    assert.deepEqual(named(response(details)), []);
  });
}

test('a frame of a page is no navigation of the tab', () => {
  const { inject, begin, tabs } = working();
  tabs.requested(TAB, '0', { spanId: 'c'.repeat(16), flags: '03' });
  tabs.responded(TAB, '0', PAGE);
  assert.equal(contextIn(inject(navigation({ type: 'sub_frame' }))).flags, '03');
  assert.equal(begin.mock.callCount(), 0);
});

test('the response of a navigation names it, beside all that is there', () => {
  const { inject, fire, tabs } = working();
  inject(navigation());
  const context = tabs.navigation(TAB, '1');
  assert.ok(context);
  const headers = [{ name: 'Content-Type', value: 'text/html' }, { name: 'Server-Timing', value: 'db;dur=1' }];
  const { responseHeaders } = fire(EXPOSE, response({ responseHeaders: headers }));
  assert.deepEqual(responseHeaders, [...headers, serverTiming(context)]);
});

test('the response of a navigation names it also when another listener has heard of it before', () => {
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

test('before the session is known a request has a valid header all the same, of one trace', () => {
  const { fire } = fakeChrome({ granted: true });
  made().injector.listen();
  const requests = [request(), request({ tabId: -1 }), navigation()];
  const contexts = requests.map((details) => contextIn(fire(INJECT, details).requestHeaders));
  assert.equal(new Set(contexts.map(({ traceId }) => traceId)).size, 1);
  assert.equal(new Set(contexts.map(({ spanId }) => spanId)).size, 3);
  assert.deepEqual(fire(EXPOSE, response()), {});
});

test('a context that is resumed goes on requests before more is known', () => {
  const { fire } = fakeChrome({ granted: true });
  const { injector } = made();
  injector.listen();
  injector.resume(SESSION, propagating());
  const { traceId, flags } = contextIn(fire(INJECT, navigation()).requestHeaders);
  assert.deepEqual({ traceId, flags }, { traceId: SESSION.traceId, flags: SESSION.flags });
});

test('a navigation uses the session before its request leaves, and nothing else does', () => {
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
  for (const order of ['told before', 'told after']) {
    test(`the response of a ${what} names its navigation, ${order}`, () => {
      const { inject, named, tabs } = working();
      inject(navigation());
      if (order === 'told before') tabs.responded(TAB, '1', null);
      const [header] = named(response(details));
      assert.ok(header?.value?.includes(SESSION.traceId));
    });
  }
}

test('it goes over to another session', () => {
  const { inject, named, injector, tabs } = working();
  const other = { traceId: 'e'.repeat(32), spanId: 'e'.repeat(16), flags: '01' };
  const session = using(other);
  injector.start({ session, tabs, traces: new Traces(session, fakeOutbox(), session.problem) });
  assert.equal(contextIn(inject(navigation())).traceId, other.traceId);
  assert.ok(named(response())[0]?.value?.includes(other.traceId));
});

test('it listens once, however often it is told to', () => {
  const { injector, session, tabs, traces, blocking } = working();
  injector.listen();
  injector.start({ session, tabs, traces });
  assert.deepEqual(blocking(), [INJECT, EXPOSE]);
  injector.stop();
  assert.deepEqual(blocking(), []);
});

test('once it is stopped it leaves requests alone, until it is started again', () => {
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

test('it knows whether the browser asks', () => {
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

test('no request waits for anything: the answer is there at once, and nothing is sent before it', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted: true });
  const { fallback, session, host, outbox } = connectHost();
  const [documents, starts] = [new Documents(), new NavigationStarts()];
  const requests = new Requests(outbox, starts, session);
  const ready = startHeaders(session, host, new Injector(fallback, documents, requests), { outbox, documents, requests });
  watchNavigations(ready.then(({ navigations }) => navigations), { outbox, documents, starts });
  await settled();
  const [port] = browser.ports;
  assert.ok(port);
  const contexts = Array.from({ length: 96 }, () => ({ spanId: newSpanId(), flags: '01' }));
  const traces = Array.from({ length: 8 }, () => ({ traceId: newTraceId(), spanId: newSpanId(), flags: '01' }));
  const propagation = DEFAULT_PROPAGATION;
  port.receive({ v: 1, type: 'session', host: '0.1.0', mode: 'auto', webVitals: false, propagation, session: SESSION, contexts, traces });
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

test('each request is told of as it leaves, with what it carries and its navigation', () => {
  const { inject, tabs, told, started } = working();
  const { spanId } = contextIn(inject(navigation()));
  assert.deepEqual(told(), [spanId, tabs.navigation(TAB, '1')?.spanId, undefined, undefined]);
  const { spanId: other } = contextIn(inject(request({ requestId: '2' })));
  assert.deepEqual(told(), [other, tabs.current(TAB)?.spanId, undefined, undefined]);
  assert.equal(started.mock.callCount(), 2);
  assert.equal(started.mock.calls[1]?.arguments[0].requestId, '2');
});

test('a request of the session itself has no parent', () => {
  const { inject, told } = working();
  for (const details of [{ tabId: -1 }, { tabId: 9000 }]) {
    const { spanId } = contextIn(inject(request(details)));
    assert.deepEqual(told(), [spanId, undefined, undefined, undefined]);
  }
});

test('before the session is known a request is told of with its trace, and has no parent', () => {
  const { fire } = fakeChrome({ granted: true });
  const { injector, told } = made();
  injector.listen();
  const first = contextIn(fire(INJECT, navigation()).requestHeaders);
  assert.deepEqual(told(), [first.spanId, undefined, first.traceId, undefined]);
  injector.resume(SESSION, propagating());
  const second = contextIn(fire(INJECT, request()).requestHeaders);
  assert.deepEqual(told(), [second.spanId, undefined, SESSION.traceId, undefined]);
});

/** An injector whose tab shows one document and has the response of the next. */
function between() {
  const worker = working();
  const [shown, coming] = [{ spanId: 'c'.repeat(16), flags: '03' }, { spanId: 'd'.repeat(16), flags: '01' }];
  worker.tabs.requested(TAB, '0', shown);
  worker.tabs.responded(TAB, '0', PAGE);
  worker.tabs.committed(TAB, PAGE);
  worker.documents.committed('shown', shown);
  worker.tabs.requested(TAB, '1', coming);
  worker.tabs.responded(TAB, '1', PAGE);
  return { ...worker, shown, coming };
}

/** @type {[what: string, details: object, belongs: 'shown' | 'coming'][]} */
const BETWEEN = [
  ['the document that is still there', { documentId: 'shown' }, 'shown'],
  ['a frame of it that is not known yet', { documentId: 'frame', parentDocumentId: 'shown' }, 'shown'],
  ['a frame that it opens', { type: 'sub_frame', documentId: undefined, parentDocumentId: 'shown' }, 'shown'],
  ['the document that is there already, before anything has said so', { documentId: 'coming' }, 'coming'],
  ['a document that the browser does not name', { documentId: undefined }, 'coming'],
  ['the document that is still there, in no tab any more', { tabId: -1, documentId: 'shown' }, 'shown'],
  ['a page that it fetches ahead', { type: 'main_frame', documentId: 'shown' }, 'shown'],
];
for (const [what, details, belongs] of BETWEEN) {
  test(`between a response and its commit, a request of ${what} belongs to the navigation that is ${belongs}`, () => {
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

/** Where nothing is traced when only the shop is. */
const ELSEWHERE = 'https://elsewhere.test/';
const TARGETS = { targets: ['^https://example\\.test/'] };
const FOREIGN = { traceId: 'f'.repeat(32), spanId: 'f'.repeat(16) };
const CLIENT = { traceId: '9'.repeat(32), spanId: '9'.repeat(16) };

/** @param {{ traceId: string, spanId: string }} context @param {string} [flags] */
const traceparent = ({ traceId, spanId }, flags = '01') => `00-${traceId}-${spanId}-${flags}`;

/** @param {Record<string, string>} headers */
const list = (headers) => Object.entries(headers).map(([name, value]) => ({ name, value }));

/** @param {Header[]} headers @returns {Record<string, string | undefined>} */
const table = (headers) => Object.fromEntries(headers.map(({ name, value }) => [name, value]));

/**
 * Has a request leave that a listener may leave as it is.
 *
 * @param {ReturnType<typeof working>} worker
 * @param {any} details
 * @returns {Record<string, string | undefined>}
 */
const left = ({ fire }, details) => table(fire(INJECT, details).requestHeaders ?? details.requestHeaders);

/**
 * An injector whose tab shows a page.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {Record<string, string>} [headers] what its navigation's request has
 * @param {string} [url]
 */
function showing(settings, headers = {}, url = PAGE) {
  const worker = working(settings);
  const carried = left(worker, navigation({ requestId: '0', url, requestHeaders: list(headers) }));
  worker.tabs.responded(TAB, '0', url);
  const [context] = worker.tabs.committed(TAB, url).ended;
  if (context !== undefined) worker.documents.committed('d', context);
  return { ...worker, carried, context };
}

test('a span of the trace that a page is in is the caller of a request, which stays below its navigation', () => {
  const worker = showing();
  const own = { traceId: SESSION.traceId, spanId: 'e'.repeat(16) };
  const headers = left(worker, request({ requestHeaders: list({ Traceparent: traceparent(own, '00'), tracestate: 'x=1' }) }));
  const { spanId, flags } = contextIn(list({ traceparent: headers.traceparent ?? '' }));
  assert.deepEqual(Object.keys(headers), ['traceparent']);
  assert.equal(flags, '01', 'as was decided for the navigation');
  assert.deepEqual(worker.told(), [spanId, worker.context?.spanId, undefined, { caller: own.spanId }]);
});

test('a foreign context is overridden together with its state, and the request keeps a link to it', () => {
  const worker = showing();
  const headers = left(worker, request({ requestHeaders: list({ tracestate: 'x=1', traceparent: traceparent(FOREIGN), A: '1' }) }));
  const { traceId, spanId } = contextIn(list({ traceparent: headers.traceparent ?? '' }));
  assert.deepEqual(Object.keys(headers), ['A', 'traceparent']);
  assert.equal(traceId, SESSION.traceId);
  assert.deepEqual(worker.told(), [spanId, worker.context?.spanId, undefined, { link: FOREIGN }]);
});

test('a foreign context that is to be kept is left as it is, and the request has a link to it', () => {
  const worker = showing({ existing: 'keep' });
  const headers = { tracestate: 'x=1', traceparent: traceparent(FOREIGN), A: '1' };
  assert.deepEqual(worker.fire(INJECT, request({ requestHeaders: list(headers) })), {});
  const [, parent, stray, origin] = worker.told() ?? [];
  assert.deepEqual([parent, stray, origin], [worker.context?.spanId, undefined, { link: FOREIGN }]);
  assert.deepEqual(left(worker, request({ requestHeaders: list({ ...headers, navtrace: 'off' }) })), headers, 'but for what steers');
  const own = { traceId: SESSION.traceId, spanId: 'e'.repeat(16) };
  assert.notEqual(left(worker, request({ requestHeaders: list({ traceparent: traceparent(own) }) })).traceparent, traceparent(own));
  assert.deepEqual(worker.told()?.[3], { caller: own.spanId }, 'one of the same trace is not foreign');
});

for (const existing of /** @type {const} */ (['override', 'keep'])) {
  test(`what a client puts on a navigation is adopted at once, and on its page's requests is no caller, to ${existing}`, () => {
    const headers = { traceparent: traceparent(CLIENT), tracestate: 'x=1' };
    const worker = showing({ existing }, headers);
    const { observed, context, told } = worker;
    const carried = contextIn(list({ traceparent: worker.carried.traceparent ?? '' }));
    assert.equal(carried.traceId, CLIENT.traceId);
    assert.equal(worker.carried.tracestate, 'x=1');
    assert.deepEqual(told(), [carried.spanId, context?.spanId, undefined, undefined]);
    const issued = observed.filter(({ spanId }) => [CLIENT.spanId, context?.spanId].includes(spanId));
    assert.deepEqual(issued.map(({ issuedFor, traceId, parent }) => [issuedFor, traceId, parent]), [
      ['client', CLIENT.traceId, undefined],
      ['navigation', CLIENT.traceId, CLIENT.spanId],
    ]);
    for (const requestHeaders of [list(headers), []]) {
      const sub = left(worker, request({ requestId: '2', requestHeaders }));
      assert.equal(parseTraceparent(sub.traceparent)?.traceId, CLIENT.traceId);
      assert.notEqual(parseTraceparent(sub.traceparent)?.spanId, CLIENT.spanId);
      assert.equal(sub.tracestate, 'x=1');
      assert.deepEqual(told()?.slice(1), [context?.spanId, undefined, undefined]);
    }
    assert.deepEqual(worker.named(response({ requestId: '0' })).map(({ value }) => value?.includes(CLIENT.traceId)), [true]);
  });
}

test('a page joins the trace of its client as a caller', () => {
  const worker = showing({}, { traceparent: traceparent(CLIENT) });
  const own = { ...CLIENT, spanId: 'e'.repeat(16) };
  left(worker, request({ requestHeaders: list({ traceparent: traceparent(own) }) }));
  assert.deepEqual(worker.told()?.slice(1), [worker.context?.spanId, undefined, { caller: own.spanId }]);
  left(worker, request({ requestHeaders: list({ traceparent: traceparent({ ...own, traceId: SESSION.traceId }) }) }));
  assert.deepEqual(worker.told()?.[3], { link: { traceId: SESSION.traceId, spanId: own.spanId } }, "the session's is another trace here");
});

test('the hops of a redirect adopt nothing again', () => {
  const worker = working();
  const headers = () => list({ traceparent: traceparent(CLIENT), baggage: 'k=v' });
  const first = left(worker, navigation({ requestHeaders: headers() }));
  const context = worker.tabs.navigation(TAB, '1');
  const { length } = worker.observed;
  const hops = [headers(), list({ traceparent: traceparent(FOREIGN), navtrace: 'off' }), []].map((requestHeaders) =>
    left(worker, navigation({ requestHeaders })),
  );
  for (const hop of [first, ...hops]) {
    assert.equal(parseTraceparent(hop.traceparent)?.traceId, CLIENT.traceId);
    assert.equal(hop.baggage, 'k=v');
    assert.deepEqual(worker.told()?.slice(1), [context?.spanId, undefined, undefined]);
  }
  assert.equal(worker.observed.length, length);
});

/** @type {[propagators: PropagationSettings['propagators'], fields: string[]][]} */
const FORMATS = [
  [['b3'], ['b3']],
  [['jaeger'], ['uber-trace-id']],
  [['b3multi'], ['x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled']],
  [['tracecontext', 'b3', 'jaeger'], ['traceparent', 'b3', 'uber-trace-id']],
];
for (const [propagators, fields] of FORMATS) {
  test(`contexts go and come as ${propagators.join(', ')}`, () => {
    const worker = showing({ propagators });
    const { propagation } = worker.session;
    const carrying = (/** @type {{ traceId: string, spanId: string }} */ context) =>
      propagation.inject({ ...context, flags: '01' }).flatMap(([name, value]) => (value === null ? [] : [{ name: name.toUpperCase(), value }]));
    for (const [context, origin] of /** @type {const} */ ([
      [FOREIGN, { link: FOREIGN }],
      [{ ...FOREIGN, traceId: SESSION.traceId }, { caller: FOREIGN.spanId }],
    ])) {
      const stale = propagators.includes('b3multi') ? list({ 'X-B3-ParentSpanId': 'e'.repeat(16), 'X-B3-Flags': '1' }) : [];
      const headers = left(worker, request({ requestHeaders: [...carrying(context), ...stale] }));
      assert.deepEqual(Object.keys(headers), fields);
      const [spanId, parent, , said] = worker.told() ?? [];
      const read = propagation.extract(list(/** @type {Record<string, string>} */ (headers)));
      assert.deepEqual([read?.traceId, read?.spanId], [SESSION.traceId, spanId]);
      for (const value of Object.values(headers)) assert.ok(!value?.includes(FOREIGN.traceId));
      assert.deepEqual([parent, said], [worker.context?.spanId, origin]);
    }
    left(worker, navigation({ requestId: '5', requestHeaders: carrying(CLIENT) }));
    assert.equal(worker.tabs.navigation(TAB, '5')?.trace?.traceId, CLIENT.traceId, 'a navigation adopts it');
  });
}

test('a script steers its page to other formats, and nothing of the configured ones is left', () => {
  const worker = showing({}, { navtrace: 'propagator=b3,jaeger', traceparent: traceparent(CLIENT), tracestate: 'x=1' });
  assert.deepEqual(Object.keys(worker.carried), ['b3', 'uber-trace-id']);
  assert.ok(worker.carried.b3?.startsWith(CLIENT.traceId));
  const sub = left(worker, request({ requestHeaders: list({ traceparent: traceparent(FOREIGN) }) }));
  assert.deepEqual(Object.keys(sub), ['b3', 'uber-trace-id']);
  const next = left(worker, navigation({ requestId: '5' }));
  assert.deepEqual(Object.keys(next), ['traceparent', 'tracestate'], 'the next navigation is not steered');
});

test('no propagators: nothing is put on requests, which are told of all the same', () => {
  const worker = showing({ propagators: [] });
  assert.deepEqual(left(worker, request({ requestHeaders: list({ traceparent: traceparent(FOREIGN) }) })), { traceparent: traceparent(FOREIGN) });
  assert.deepEqual(worker.told()?.slice(1), [worker.context?.spanId, undefined, undefined]);
});

for (const [what, theirs, expected] of /** @type {[string, string, string][]} */ ([
  ['a page of its own', 'b=3,c=4', 'b=3,c=4,a=1'],
  ['none', '', 'a=1,b=2'],
  ['one that can not be read', ';', 'a=1,b=2'],
])) {
  test(`a request with baggage of ${what} carries the session's as well`, () => {
    const worker = showing({ baggage: 'a=1,b=2' });
    assert.equal(worker.carried.baggage, 'a=1,b=2');
    const headers = left(worker, request({ requestHeaders: theirs === '' ? [] : list({ Baggage: theirs }) }));
    assert.deepEqual(Object.keys(headers).map((name) => name.toLowerCase()).sort(), ['baggage', 'traceparent']);
    assert.equal(headers.baggage, expected);
  });
}

/** @type {[what: string, settings: Partial<PropagationSettings>, navigates: Record<string, string>, details: object][]} */
const CONTROLLED = [
  ['a navigation', {}, {}, navigation()],
  ['a navigation that is to be left alone', {}, {}, navigation({ requestHeaders: list({ NavTrace: 'off' }) })],
  ['a navigation to where nothing is traced', TARGETS, {}, navigation({ url: ELSEWHERE })],
  ['a request', {}, {}, request()],
  ['a request of a page that is to be left alone', {}, { navtrace: 'off' }, request()],
  ['a request to where nothing is traced', TARGETS, {}, request({ url: ELSEWHERE })],
  ['a request with a context that is kept', { existing: 'keep' }, {}, request({ requestHeaders: list({ traceparent: traceparent(FOREIGN) }) })],
  ['a request without a tab', {}, {}, request({ tabId: -1 })],
  ['a prefetch', TARGETS, {}, navigation({ documentId: 'd', url: ELSEWHERE })],
];
test('the header that steers leaves with no request', () => {
  for (const [what, settings, navigates, details] of CONTROLLED) {
    const worker = showing(settings, navigates);
    const requestHeaders = [...list({ A: '1', NAVTRACE: 'sampling=1' }), .../** @type {any} */ (details).requestHeaders, ...list({ navtrace: 'off' })];
    const headers = left(worker, { ...details, requestHeaders });
    assert.deepEqual(Object.keys(headers).filter((name) => /navtrace/i.test(name)), [], what);
    assert.equal(headers.A, '1');
  }
  const { fire } = fakeChrome({ granted: true });
  made().injector.listen();
  const { requestHeaders } = fire(INJECT, navigation({ requestHeaders: list({ NavTrace: 'off' }) }));
  assert.deepEqual(Object.keys(table(requestHeaders)), ['traceparent'], 'before the session is known');
});

test('a request to where nothing is traced is left as it is, and not told of', () => {
  const worker = showing(TARGETS);
  const { length } = worker.started.mock.calls;
  const own = { traceparent: traceparent(FOREIGN), tracestate: 'x=1', baggage: 'k=v' };
  for (const details of [request({ url: ELSEWHERE }), request({ url: ELSEWHERE, tabId: -1 }), request({ url: ELSEWHERE, type: 'sub_frame' })]) {
    assert.deepEqual(worker.fire(INJECT, details), {});
    assert.deepEqual(worker.fire(INJECT, { ...details, requestHeaders: list(own) }), {}, "the page's own headers stay");
  }
  assert.equal(worker.started.mock.callCount(), length);
  assert.equal(worker.ignore.mock.callCount(), 0);
});

for (const page of [PAGE, ELSEWHERE]) {
  test(`what a client puts on every request of ${page} leaves for nobody that is not traced`, () => {
    const theirs = { traceparent: traceparent(CLIENT), tracestate: 'x=1', baggage: 'k=v' };
    const worker = showing(TARGETS, theirs, page);
    const { length } = worker.started.mock.calls;
    assert.deepEqual(left(worker, request({ url: ELSEWHERE, requestHeaders: list({ ...theirs, A: '1' }) })), { A: '1' });
    assert.deepEqual(left(worker, navigation({ requestId: '5', url: ELSEWHERE, requestHeaders: list({ ...theirs, A: '1' }) })), { A: '1' });
    const own = { traceparent: traceparent(FOREIGN), tracestate: 'y=1', baggage: 'l=w' };
    assert.deepEqual(left(worker, request({ url: ELSEWHERE, requestHeaders: list(own) })), own, "the page's own stay");
    assert.equal(worker.started.mock.callCount(), length);
    const sub = left(worker, request({ requestId: '6', requestHeaders: list(theirs) }));
    assert.equal(parseTraceparent(sub.traceparent)?.traceId, CLIENT.traceId);
    assert.equal(sub.baggage, 'k=v');
    const parent = page === PAGE ? worker.context?.spanId : CLIENT.spanId;
    assert.deepEqual(worker.told()?.slice(1), [parent, undefined, undefined]);
  });
}

test('a navigation to where nothing is traced begins none, and its response names none', () => {
  const { fire, named, begin, started } = working(TARGETS);
  assert.deepEqual(fire(INJECT, navigation({ url: ELSEWHERE })), {});
  assert.deepEqual(named(response({ url: ELSEWHERE })), []);
  assert.equal(begin.mock.callCount() + started.mock.callCount(), 0);
});

test('a redirect leaves what is traced and comes back to it as one navigation', () => {
  const worker = working(TARGETS);
  const theirs = { traceparent: traceparent(CLIENT) };
  const first = left(worker, navigation({ requestHeaders: list(theirs) }));
  const context = worker.tabs.navigation(TAB, '1');
  assert.deepEqual(left(worker, navigation({ url: ELSEWHERE, requestHeaders: list(theirs) })), {});
  assert.deepEqual(left(worker, navigation({ url: ELSEWHERE, requestHeaders: list({ traceparent: first.traceparent ?? '' }) })), {});
  assert.deepEqual(worker.named(response({ url: ELSEWHERE })), []);
  left(worker, navigation({ requestHeaders: list(theirs) }));
  assert.equal(worker.told()?.[1], context?.spanId);
  assert.equal(worker.started.mock.callCount(), 2);
});

test("a page that is not traced asks targets below the session's root", () => {
  const worker = showing(TARGETS, {}, ELSEWHERE);
  assert.equal(worker.context, undefined);
  const { spanId, traceId } = contextIn(worker.inject(request()));
  assert.equal(traceId, SESSION.traceId);
  assert.deepEqual(worker.told(), [spanId, undefined, undefined, undefined]);
});

test('a navigation that is to be left alone has no header, nor has its page, and nothing is told of either', () => {
  for (const existing of /** @type {const} */ (['override', 'keep'])) {
    const worker = showing({ existing }, { navtrace: 'off', A: '1' });
    assert.deepEqual(worker.carried, { A: '1' });
    assert.deepEqual(worker.named(response({ requestId: '0' })), [], 'in its response');
    const own = { traceparent: traceparent(FOREIGN), tracestate: 'x=1' };
    assert.deepEqual(left(worker, request({ requestId: '2', requestHeaders: list(own) })), own);
    assert.deepEqual(worker.fire(INJECT, request({ requestId: '3' })), {});
    assert.equal(worker.started.mock.callCount(), 0);
    assert.deepEqual(worker.ignore.mock.calls.map(({ arguments: [requestId] }) => requestId), ['0', '2', '3']);
    assert.ok(left(worker, navigation({ requestId: '4' })).traceparent, 'the next one is not');
    assert.equal(worker.started.mock.callCount(), 1);
  }
});

test('a page that is not traced and whose script wants nothing put on requests has targets asked without headers', () => {
  const worker = showing(TARGETS, { navtrace: 'off' }, ELSEWHERE);
  assert.deepEqual(worker.fire(INJECT, request()), {});
  assert.equal(worker.started.mock.callCount(), 0);
});

for (const scope of /** @type {const} */ (['tab', 'navigation'])) {
  test(`in the scope of the ${scope} a page's requests are in the trace of its navigation, whatever comes after it`, () => {
    const worker = showing({ scope });
    const { traceId } = worker.context?.trace ?? {};
    assert.ok(traceId);
    assert.notEqual(traceId, SESSION.traceId);
    assert.equal(parseTraceparent(worker.carried.traceparent)?.traceId, traceId);
    const next = contextIn(worker.inject(navigation({ requestId: '5' })));
    assert.equal(next.traceId === traceId, scope === 'tab');
    worker.tabs.responded(TAB, '5', PAGE);
    assert.equal(contextIn(worker.inject(request({ requestId: '6' }))).traceId, traceId, 'the document that is still there');
    assert.equal(contextIn(worker.inject(request({ requestId: '7', documentId: 'new' }))).traceId, next.traceId);
    assert.deepEqual(worker.told()?.slice(1), [worker.tabs.navigation(TAB, '5')?.spanId, undefined, undefined]);
    assert.equal(worker.named(response({ requestId: '5' }))[0]?.value?.includes(next.traceId), true);
  });
}

test('no two navigations have one context, whatever scripts ask for', () => {
  for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
    const worker = working({ scope, ...TARGETS });
    const spans = [];
    for (let n = 0; n < 60; n += 1) {
      const said = [{}, { traceparent: traceparent(CLIENT) }, { navtrace: 'new-trace' }, { navtrace: 'off' }, { navtrace: 'sampling=0' }][n % 5] ?? {};
      const requestId = String(n);
      const url = n % 7 === 0 ? ELSEWHERE : PAGE;
      const tabId = TAB + (n % 3) * 500;
      left(worker, navigation({ requestId, tabId, url, requestHeaders: list(/** @type {Record<string, string>} */ (said)) }));
      if (url === PAGE) spans.push(worker.tabs.navigation(tabId, requestId)?.spanId);
      if (n % 4 === 0) worker.tabs.failed(tabId, requestId);
      else worker.tabs.responded(tabId, requestId, n % 4 === 1 ? null : url);
      if (n % 4 > 1) worker.tabs.committed(tabId, url);
    }
    assert.ok(spans.every((span) => span !== undefined));
    assert.equal(new Set(spans).size, spans.length);
  }
});
