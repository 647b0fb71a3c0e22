import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, mock, test } from 'node:test';

import { DEFAULT_PROPAGATION, Propagation, draw } from '../../extension/context/propagation.js';
import { filterFault, isSelected } from './support/request-filter.js';

/** @import { HttpHeader, PropagationSettings } from '../../extension/context/propagation.js' */
/** @typedef {PropagationSettings['propagators'][number]} Name */

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const OTHER = 'a'.repeat(32);
const SPAN = '00f067aa0ba902b7';
const CONTEXT = { traceId: TRACE, spanId: SPAN, flags: '01', tracestate: '', baggage: '' };

beforeEach(() => mock.reset());

/** @param {Partial<PropagationSettings>} [settings] */
const having = (settings) => new Propagation({ ...DEFAULT_PROPAGATION, ...settings });

/** @param {Record<string, string>} headers @returns {HttpHeader[]} */
const list = (headers) => Object.entries(headers).map(([name, value]) => ({ name, value }));

test('the default settings', () => {
  assert.deepEqual(DEFAULT_PROPAGATION, {
    propagators: ['tracecontext', 'baggage'],
    sampler: { ratio: 1, parentBased: true },
    samplePer: 'trace',
    scope: 'session',
    randomFlag: false,
    existing: 'override',
    tracestate: '',
    baggage: '',
    targets: [],
    exclude: [],
    collector: [],
    domains: [],
    resources: [],
    otherResources: 'session',
    incognito: 'shared',
  });
  assert.equal(new Propagation().settings, DEFAULT_PROPAGATION);
});

test('the fields are those of every propagator', () => {
  assert.deepEqual([...having().fields], ['traceparent', 'tracestate', 'baggage']);
  const propagators = /** @type {Name[]} */ (['b3', 'b3multi', 'jaeger', 'none', 'toString']);
  const fields = ['b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled', 'x-b3-flags', 'x-b3-parentspanid', 'uber-trace-id'];
  assert.deepEqual([...having({ propagators }).fields], fields);
  assert.deepEqual([...having({ propagators: [] }).fields], []);
});

test('a context is written by every propagator, in their order', () => {
  const context = { ...CONTEXT, baggage: 'a=1' };
  const traceparent = [['traceparent', `00-${TRACE}-${SPAN}-01`], ['tracestate', null]];
  assert.deepEqual(having().inject(context), [...traceparent, ['baggage', 'a=1']]);
  assert.deepEqual(having().inject(CONTEXT), traceparent);
  const b3 = [['b3', `${TRACE}-${SPAN}-1`]];
  assert.deepEqual(having({ propagators: ['b3', 'tracecontext'] }).inject(CONTEXT), [...b3, ...traceparent]);
  assert.deepEqual(having({ propagators: [] }).inject(context), []);
});

test('named propagators replace the configured ones', () => {
  assert.deepEqual(having().inject(CONTEXT, ['jaeger', 'b3', 'xray']), [
    ['uber-trace-id', `${TRACE}:${SPAN}:0:1`],
    ['b3', `${TRACE}-${SPAN}-1`],
  ]);
  assert.deepEqual(having().inject(CONTEXT, []), []);
});

test('headers are read by the propagators that there are', async (t) => {
  const traceparent = `00-${TRACE}-${SPAN}-01`;
  const binary = [{ name: 'Baggage', binaryValue: [255] }];
  const other = { b3: `${OTHER}-${SPAN}-0` };
  /** @type {Name[]} */
  const all = ['tracecontext', 'baggage', 'b3', 'b3multi', 'jaeger'];
  const multi = { 'X-B3-TraceId': TRACE, 'X-B3-SpanId': SPAN };
  /** @type {[why: string, propagators: Name[], headers: HttpHeader[] | undefined, expected: object | null][]} */
  const cases = [
    ['no headers', all, undefined, null],
    ['an empty list', all, [], null],
    ['headers of other kinds', all, list({ Accept: '*/*', 'x-traceparent': traceparent }), null],
    ['no propagator', [], list({ traceparent }), null],
    ['any case', all, list({ TraceParent: traceparent, TRACESTATE: 'a=1', Baggage: 'b=2' }), { tracestate: 'a=1', baggage: 'b=2' }],
    ['a format that is not wanted', ['b3'], list({ traceparent }), null],
    ['baggage alone', all, list({ baggage: 'a=1' }), null],
    ['baggage that is not wanted', ['tracecontext'], list({ traceparent, baggage: 'a=1' }), {}],
    ['the valid part of baggage', all, list({ traceparent, baggage: 'a=1,b' }), { baggage: 'a=1' }],
    ['a tracestate alone', all, list({ tracestate: 'a=1' }), null],
    ['an invalid header', all, list({ traceparent: `${traceparent}-` }), null],
    ['an invalid tracestate', all, list({ traceparent, tracestate: 'a' }), {}],
    ['b3 without a context', all, list({ b3: '0' }), null],
    ['the later propagator wins', ['tracecontext', 'b3'], list({ ...other, traceparent }), { traceId: OTHER, flags: '00' }],
    ['and by the order of propagators', ['b3', 'tracecontext'], list({ traceparent, ...other }), {}],
    ['and only if it finds something', ['tracecontext', 'b3'], list({ traceparent, b3: '1' }), {}],
    ['and if that is valid', ['tracecontext', 'b3'], list({ traceparent, b3: 'x' }), {}],
    ['a tracestate stays with its traceparent', all, list({ traceparent, tracestate: 'a=1', ...other }), { traceId: OTHER, flags: '00' }],
    ['debug', all, list({ ...multi, 'X-B3-Flags': '1' }), {}],
    ['no decision', all, list(multi), { flags: '00' }],
    ['debug alone', all, list({ 'X-B3-Flags': '1' }), null],
    ['several of a name', all, list({ traceparent, tracestate: 'a=1', Tracestate: 'b=2' }), { tracestate: 'a=1,b=2' }],
    ['several parents', all, [...list({ traceparent }), ...list({ traceparent })], null],
    ['a value that is not UTF-8', all, [{ name: 'traceparent', binaryValue: [255] }], null],
    ['one beside it', all, [...list({ traceparent, baggage: 'a=1' }), ...binary], { baggage: 'a=1' }],
  ];
  for (const [why, propagators, headers, differing] of cases) {
    const expected = differing === null ? null : { ...CONTEXT, ...differing };
    await t.test(why, () => assert.deepEqual(having({ propagators }).extract(headers), expected));
  }
});

test('a usual request reads each header once', () => {
  const look = mock.fn();
  const headers = ['Accept', 'User-Agent', 'Cookie'].map((name) => ({
    get name() {
      look(name);
      return name;
    },
    value: '1',
  }));
  assert.equal(having().extract(headers), null);
  assert.equal(look.mock.callCount(), headers.length);
});

test('baggage is read without a context, where it is carried', () => {
  const headers = [...list({ Baggage: ' a=1 , b', traceparent: 'x' }), ...list({ baggage: 'c=3' })];
  assert.equal(having().baggageOf(headers), 'a=1,c=3');
  assert.equal(having({ propagators: ['tracecontext', 'b3'] }).baggageOf(headers), '');
  for (const none of [undefined, [], list({ Accept: '*/*' }), list({ traceparent: 'x' }), list({ baggage: 'a' })]) {
    assert.equal(having().baggageOf(none), '');
  }
});

test('targets', async (t) => {
  const shop = '^https://(?:[^/?#]*\\.)?shop\\.test(?::\\d+)?/';
  const api = '^https://api\\.shop\\.test/';
  /** @type {[why: string, targets: string[], exclude: string[], url: string, expected: boolean][]} */
  const cases = [
    ['everything', [], [], 'http://a.test/', true],
    ['a target', [shop], [], 'https://www.shop.test/cart', true],
    ['no target', [shop], [], 'https://evil.test/?https://www.shop.test/', false],
    ['one of several', [api, '^http://a\\.test/'], [], 'http://a.test/x', true],
    ['excluded', [], [api], 'https://api.shop.test/', false],
    ['not excluded', [], [api], 'https://www.shop.test/', true],
    ['a target that is excluded', [shop], [api], 'https://api.shop.test/', false],
    ['a target beside', [shop], [api], 'https://www.shop.test/', true],
    ['case matters', [shop], [], 'https://www.SHOP.test/', false],
  ];
  for (const [why, targets, exclude, url, expected] of cases) {
    await t.test(why, () => {
      const propagation = having({ targets, exclude });
      // Twice: an expression must not remember where it was.
      assert.deepEqual([propagation.isTarget(url), propagation.isTarget(url)], [expected, expected]);
    });
  }
});

test('the collector is no target, whatever the query', () => {
  const collector = ['https://otlp.test/v1/traces', 'https://otlp.test/v1/logs'];
  for (const settings of [{ collector }, { collector, targets: ['^https://'], exclude: ['/private'] }]) {
    const propagation = having(settings);
    for (const url of [...collector, `${collector[0]}?key=a/b`, `${collector[1]}#x`]) assert.equal(propagation.isTarget(url), false, url);
    for (const url of ['https://otlp.test/v1/tracesearch', 'https://otlp.test/v1', 'https://other.test/v1/traces?https://otlp.test/v1/traces']) {
      assert.equal(propagation.isTarget(url), true, url);
    }
  }
});

/** @type {{ pattern: string, regexes: string[], matches: string[], others: string[] }[]} */
const PATTERNS = JSON.parse(readFileSync(new URL('../fixtures/targets.json', import.meta.url), 'utf8'));
test('listeners match patterns as rules do', () => {
  for (const { pattern, regexes, matches, others } of PATTERNS) {
    const [targets, excluding] = [having({ targets: regexes }), having({ exclude: regexes })];
    for (const [urls, expected] of /** @type {[string[], boolean][]} */ ([[matches, true], [others, false]])) {
      for (const { href } of urls.map((url) => new URL(url))) {
        assert.equal(targets.isTarget(href), expected, `${pattern} ${href}`);
        assert.equal(excluding.isTarget(href), !expected, `${pattern} ${href}`);
        // The browser's own engine tells whether the rewritten expression means the same.
        assert.equal(regexes.some((regex) => new RegExp(regex).test(href)), expected, `${pattern} ${href}`);
      }
    }
  }
});

test('a broken pattern gives headers to nobody and is logged once', () => {
  const error = mock.method(console, 'error', () => {});
  const targets = having({ targets: ['('] });
  assert.equal(error.mock.callCount(), 1);
  assert.match(String(error.mock.calls[0]?.arguments[0]), /^navtrace: the pattern "\(" can't be used$/);
  assert.equal(targets.isTarget('http://a.test/'), false);
  assert.equal(having({ targets: ['(', '^http://a'] }).isTarget('http://a.test/'), true);
  const exclude = having({ exclude: ['['] });
  assert.equal(exclude.isTarget('http://a.test/'), false);
  assert.equal(error.mock.callCount(), 3);
});

/** @type {[why: string, targets: string[], exclude: string[], expected: [a: boolean, b: boolean]][]} */
const REFUSED = [
  ['a refused target is left out', ['^http://a', '^http://b'], [], [true, false]],
  ['with every target refused, there is none', ['^http://b'], [], [false, false]],
  ['with a refused exclusion, there is no target', [], ['^http://b', '^http://c'], [false, false]],
  ['without a refused pattern nothing changes', ['^http://a'], ['^http://c'], [true, false]],
];
for (const [why, targets, exclude, expected] of REFUSED) {
  test(why, () => {
    const settings = { ...DEFAULT_PROPAGATION, targets, exclude };
    const propagation = new Propagation(settings, { refused: ['^http://b'] });
    assert.deepEqual([propagation.isTarget('http://a/'), propagation.isTarget('http://b/')], expected);
    assert.equal(propagation.settings, settings, 'the settings stay as the host sent them');
  });
}

test('a sampler that is parent-based does as its parent', () => {
  for (const ratio of [0, 0.5, 1]) {
    const propagation = having({ sampler: { ratio, parentBased: true } });
    for (let n = 0; n < 100; n += 1) {
      assert.equal(propagation.decide('01'), true);
      assert.equal(propagation.decide('ff'), true);
      assert.equal(propagation.decide('00'), false);
      assert.equal(propagation.decide('02'), false);
    }
  }
});

test('a sampler draws for new traces and without parents', () => {
  for (const [ratio, expected] of /** @type {[number, boolean][]} */ ([[0, false], [1, true]])) {
    for (const parentBased of [true, false]) {
      const propagation = having({ sampler: { ratio, parentBased } });
      for (let n = 0; n < 1000; n += 1) assert.equal(propagation.decide(null), expected);
    }
    const propagation = having({ sampler: { ratio, parentBased: false } });
    for (const flags of ['00', '01']) assert.equal(propagation.decide(flags), expected);
  }
});

test('a ratio of 0.1 samples one in ten', () => {
  const propagation = having({ sampler: { ratio: 0.1, parentBased: true } });
  const sampled = () => Array.from({ length: 20_000 }, () => propagation.decide(null)).filter(Boolean).length;
  const counts = [sampled(), sampled()];
  // The 99.9 % interval: one run in a thousand is outside, and two in a row are a defect.
  assert.ok(counts.some((count) => Math.abs(count - 2000) <= 140), String(counts));
});

test('random numbers are drawn ahead, used once, and never 0 or 1', async (t) => {
  /** @type {typeof import('../../extension/context/propagation.js')} */
  const unused = await import(String(new URL('../../extension/context/propagation.js?unused', import.meta.url)));
  let draws = 0;
  let fill = 0;
  t.mock.method(crypto, 'getRandomValues', (/** @type {Uint32Array} */ numbers) => {
    draws += 1;
    return numbers.fill(fill);
  });
  assert.equal(unused.draw(0), false);
  assert.equal(unused.draw(1), true);
  assert.equal(draws, 0, 'nothing is drawn for what is certain');
  for (let n = 0; n < 128; n += 1) assert.equal(unused.draw(2 ** -53), true, 'the least number is 0');
  assert.equal(draws, 1);
  fill = 0xffff_ffff;
  for (let n = 0; n < 128; n += 1) assert.equal(unused.draw(1 - 2 ** -53), false, 'the greatest number is below 1');
  assert.equal(draws, 2);
});

test('a steering ratio is drawn too', () => {
  assert.equal(draw(0), false);
  assert.equal(draw(1), true);
});

test('flags mark random trace ids only where configured', async (t) => {
  /** @type {[randomFlag: boolean, sampled: boolean, parent: string | null, flags: string][]} */
  const cases = [
    [false, true, null, '01'],
    [false, false, null, '00'],
    [false, true, '03', '01'],
    [false, false, 'ff', '00'],
    [true, true, null, '03'],
    [true, false, null, '02'],
    [true, true, '02', '03'],
    [true, true, '01', '01'],
    [true, false, '01', '00'],
    [true, false, 'ff', '02'],
    [true, true, 'fd', '01'],
  ];
  for (const [randomFlag, sampled, parent, flags] of cases) {
    const why = `${randomFlag ? 'level 2' : 'level 1'}, ${sampled ? 'sampled' : 'not sampled'}, parent ${parent}`;
    await t.test(why, () => assert.equal(having({ randomFlag }).flags(sampled, parent), flags));
  }
});

/** @type {[what: string, settings: Partial<PropagationSettings>, filter: object][]} */
const FILTERS = [
  ['everything', {}, { urls: ['<all_urls>'] }],
  ['a domain with its subdomains', { domains: ['shop.test'] }, { urls: ['http://*.shop.test/*', 'https://*.shop.test/*', 'ws://*.shop.test/*', 'wss://*.shop.test/*'] }],
  ['an IP address', { domains: ['127.0.0.1'] }, { urls: ['http://127.0.0.1/*', 'https://127.0.0.1/*', 'ws://127.0.0.1/*', 'wss://127.0.0.1/*'] }],
  ['kinds of requests', { resources: ['main_frame', 'ping'] }, { urls: ['<all_urls>'], types: ['main_frame', 'ping'] }],
];
for (const [what, settings, expected] of FILTERS) {
  test(`a filter for ${what}`, () => {
    const { filter } = having(settings);
    assert.deepEqual(filter, expected);
    assert.equal(filterFault(filter), null);
  });
}

test('a filter selects every target, at any port', () => {
  const { filter } = having({ domains: ['shop.test', '127.0.0.1', 'localhost'], resources: ['script'] });
  const isSelectedUrl = (/** @type {string} */ url) => isSelected(filter, { url, type: 'script' });
  for (const url of ['https://shop.test/', 'http://a.b.shop.test:8443/x?y', 'wss://shop.test/', 'http://127.0.0.1:8080/', 'http://localhost:3000/a']) {
    assert.ok(isSelectedUrl(url), url);
    assert.equal(isSelected(filter, { url, type: 'image' }), false);
  }
  for (const url of ['https://myshop.test/', 'https://other.test/?https://shop.test/', 'http://127.0.0.2/', 'file:///shop.test/']) assert.ok(!isSelectedUrl(url), url);
});
