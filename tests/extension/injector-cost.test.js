/**
 * Tests that no header and no address of a page makes its requests wait for the listener. Compares the listener's time with that for an ordinary
 * request, in the same process.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { VENDORS } from '../../extension/context/foreign.js';
import { FOREIGN, INJECT, TAB, list, navigation, request, traceparent, working } from './support/injector.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */
/** @typedef {Record<string, string>} Headers */

/** Number of requests of each kind in an attempt. */
const ROUNDS = 60;

/** Number of attempts to measure times within the limit. What is really too slow exceeds it in each. */
const ATTEMPTS = 5;

/** Limit for the time of the worst request, as a multiple of an ordinary one's. */
const LIMIT = 20;

const MEBIBYTE = 2 ** 20;

/** @type {Headers} */
const ORDINARY = {
  'sec-ch-ua': '"Chromium";v="156", "Not?A_Brand";v="24"',
  'sec-ch-ua-mobile': '?0',
  'sec-ch-ua-platform': '"Linux"',
  'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
  Accept: '*/*',
  Origin: 'https://example.test',
  Referer: 'https://example.test/',
  'Accept-Encoding': 'gzip, deflate, br, zstd',
  'Accept-Language': 'en-US,en;q=0.9',
  Cookie: 'session=1; cart=2',
};

/** Repeats a text up to a length, in one piece as the browser hands it over. @param {string} text @param {number} [length] */
const long = (text, length = MEBIBYTE) => Buffer.from(text.repeat(Math.ceil(length / text.length)).slice(0, length)).toString();

/** @param {number} count @param {number} length */
const members = (count, length) => Array.from({ length: count }, (_, n) => `k${n}=`.padEnd(length, 'v')).join();

const parent = traceparent(FOREIGN);

/** Fills every header of other formats. @param {string} text @returns {Headers} */
const filled = (text) => Object.fromEntries(Object.values(VENDORS).flatMap(({ fields }) => fields.map((field) => [field, long(text)])));

/** @type {[what: string, headers: Headers][]} */
const HOSTILE = [
  ...[',', 'a=1,', 'a,', 'a=1;a,', ' ', 'a', ';'].map((text) => /** @type {[string, Headers]} */ ([
    `lists of "${text}"`,
    { traceparent: parent, tracestate: long(text), baggage: long(text) },
  ])),
  ['one long member', { traceparent: parent, tracestate: `a=${long('x')}`, baggage: `a=${long('x')}` }],
  ['blanks in a member', { baggage: `a=${long(' ')}"` }],
  ['properties', { baggage: `a=1${long(';a')}` }],
  ['properties within the limits', { baggage: `a=1${long(';a', 8188)}` }],
  ['properties with blanks', { baggage: `a=1${long('; a = 1 ', 8180)}"` }],
  ['many members of the largest size', { traceparent: parent, tracestate: members(32, 513), baggage: members(64, 127) }],
  ['a later traceparent', { traceparent: `01-${parent.slice(3)}-${long('x')}` }],
  ['a traceparent of blanks', { traceparent: long(' ') }],
  ['B3 and Jaeger of blanks', { b3: long(' '), 'uber-trace-id': long(' '), 'x-b3-traceid': long(' '), 'x-b3-spanid': long(' ') }],
  ['B3 and Jaeger of separators', { b3: long('-'), 'uber-trace-id': long('%3a'), 'x-b3-traceid': long('a'), 'x-b3-spanid': long('a') }],
  ['the formats of others, of blanks', filled(' ')],
  ['the formats of others, of digits', filled('1')],
  ['the formats of others, of separators', filled('-')],
  ["Sentry's members", { 'sentry-trace': long('-'), baggage: `sentry-trace_id=${FOREIGN.traceId},${long(',sentry-a')}` }],
  ['members that begin as those of Sentry', { baggage: `sentry-trace_id=${FOREIGN.traceId},${long(', \t, sentry')}` }],
  ['Datadog tags', { 'x-datadog-trace-id': '1', 'x-datadog-tags': long(',_dd.p.tid=') }],
  ['X-Ray roots', { 'x-amzn-trace-id': long(';Root=1-aaaaaaaa-') }],
  ['JSON in base64', { newrelic: btoa(long('[', 1500)) }],
  ['a long name', { [long('x')]: '1' }],
];


/** @typedef {{ settings?: Partial<PropagationSettings>, own: boolean, kinds: { url?: string, headers?: Headers }[] }} Requests */

/** Measures the listener's shortest time for each kind of request, taking turns. @param {Requests} requests */
function shortestTimes({ settings, own, kinds }) {
  const worker = working(settings);
  const listener = worker.registered.get(INJECT)?.[0]?.listener;
  assert.ok(listener);
  const times = kinds.map(() => /** @type {number[]} */ ([]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [n, { headers, ...where }] of kinds.entries()) {
      const requestId = `${round} ${n}`;
      const details = (own ? navigation : request)({ requestId, ...where, requestHeaders: list({ ...ORDINARY, ...headers }) });
      const start = performance.now();
      listener(details);
      times[n]?.push(performance.now() - start);
      if (own) worker.tabs.failed(TAB, requestId);
    }
  }
  return times.map((each) => Math.min(...each));
}

/**
 * Checks the times of all kinds but the first against that of the first. What else the machine does only adds to a time, so a time that is too
 * long is measured again, together with the first kind's.
 *
 * @param {Requests} requests @param {string[]} names
 */
function assertBounded(requests, names) {
  const [first = {}, ...others] = requests.kinds;
  let left = others.map((kind, n) => ({ kind, what: names[n], cost: NaN, ordinary: NaN }));
  for (let attempt = 0; attempt < ATTEMPTS && left.length > 0; attempt += 1) {
    const [ordinary = NaN, ...costs] = shortestTimes({ ...requests, kinds: [first, ...left.map(({ kind }) => kind)] });
    left = left.map((each, n) => ({ ...each, cost: costs[n] ?? NaN, ordinary })).filter(({ cost }) => !(cost <= LIMIT * ordinary));
  }
  assert.deepEqual(left.map(({ what, cost, ordinary }) => `${what}: ${cost} ms, and ${ordinary} ms for the first`), []);
}

const propagators = /** @type {const} */ (['tracecontext', 'baggage', 'b3', 'b3multi', 'jaeger']);
for (const own of [false, true]) {
  for (const baggage of ['', members(60, 127).replaceAll('k', 'o')]) {
    test(`headers cost little${own ? ' on a navigation' : ''}${baggage === '' ? '' : ' beside our baggage'}`, () => {
      const settings = { propagators: [...propagators], baggage };
      const kinds = [{}, ...HOSTILE.map(([, headers]) => ({ headers }))];
      assertBounded({ settings, own, kinds }, HOSTILE.map(([what]) => what));
    });
  }
}

/** A pattern with many `*`, as the host writes it, and the addresses that almost match it. */
const STARS = String.raw`^(?:https|wss)://(?:[^/?#@]*@)?(?:[^/?#@:]+\.)?example\.test\.?(?::\d+)?/[^?#]*/a/[^?#]*/b/[^?#]*/c/[^?#]*\.js(?:[?#]|$)`;
/** @type {[what: string, url: (length: number) => string][]} */
const ADDRESSES = [
  ...['a/', 'a/b/', '/a/x/b/x/c/', 'a/b/c/.js', '.js', '?'].map((text) => /** @type {[string, (length: number) => string]} */ ([
    `an address of ${text}`,
    (length) => `https://example.test/${long(text, length)}`,
  ])),
  ['a long user name', (length) => `https://${long('a', length)}@example.test/`],
  ['a long host', (length) => `https://${long('a.', length)}example.test/`],
];

for (const kind of /** @type {const} */ (['targets', 'exclude'])) {
  test(`the time to match stars is linear in the address: ${kind}`, () => {
    for (const [what, url] of ADDRESSES) {
      const kinds = [{ url: url(25_000) }, { url: url(200_000) }];
      assertBounded({ settings: { [kind]: [STARS] }, own: false, kinds }, [`${what}, eight times as long`]);
    }
  });
}
