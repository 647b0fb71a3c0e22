import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { newSpanId, newTraceId } from '../../extension/context/ids.js';
import { mergeBaggage } from '../../extension/context/lists.js';
import { PROPAGATORS, isSampled, propagatorsOf } from '../../extension/context/propagators.js';

/** @import { Carried, Written } from '../../extension/context/propagators.js' */
/** @typedef {{ span?: { traceId: string, spanId: string, flags: string, tracestate?: string }, baggage?: string }} FixtureContext */
/** @typedef {Record<string, string>} Headers */
/**
 * @typedef {{
 *   inject: { context: FixtureContext, headers: Headers }[],
 *   extract: { headers: Headers, context: FixtureContext, reason?: string }[],
 * }} Fixture
 */

const FIXTURES = new URL('../fixtures/propagation/', import.meta.url);

/** @param {string} name @returns {Fixture} */
const fixture = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), 'utf8'));

/** @param {FixtureContext} context @returns {Partial<Carried>} */
const carried = ({ span, baggage }) => ({ ...span, ...(baggage === undefined ? {} : { baggage }) });

/** Leaves out what is empty, as the fixtures do. @param {Partial<Carried>} context */
const told = (context) => Object.fromEntries(Object.entries(context).filter(([, value]) => value !== ''));

/** @param {Written[]} written @returns {Headers} */
const present = (written) => Object.fromEntries(written.flatMap(([name, value]) => (value === null ? [] : [[name, value]])));

/** @param {Headers} headers @returns {(name: string) => string | undefined} */
const getter = (headers) => (name) => (Object.hasOwn(headers, name) ? headers[name] : undefined);

const SPAN = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', flags: '01' };

for (const [name, propagator] of Object.entries(PROPAGATORS)) {
  const { inject, extract } = fixture(name);

  test(`${name}: contexts are written as the fixtures say`, () => {
    assert.ok(inject.length > 0);
    for (const { context, headers } of inject) {
      const written = propagator.inject(carried(context));
      assert.deepEqual(present(written), headers, JSON.stringify(context));
      for (const [header] of written) assert.ok(propagator.fields.includes(header), header);
    }
  });

  test(`${name}: headers are read as the fixtures say`, () => {
    assert.ok(extract.length > 0);
    for (const { headers, context, reason = null } of extract) {
      const read = propagator.extract(getter(headers));
      assert.deepEqual(told(read.context), carried(context), JSON.stringify(headers));
      assert.equal(read.fault, reason, JSON.stringify(headers));
    }
  });

  test(`${name}: fields are lower-case, and lists are extended`, () => {
    assert.deepEqual(propagator.fields, propagator.fields.map((field) => field.toLowerCase()));
    /** @type {Written[]} */
    const into = [['before', '1']];
    const context = { ...SPAN, tracestate: '', baggage: 'a=1' };
    assert.equal(propagator.inject(context, into), into);
    assert.deepEqual(into, [['before', '1'], ...propagator.inject(context)]);
  });

  test(`${name}: nothing that arrives makes it throw`, () => {
    for (const text of ['', '-', '---', ':::', '=', ';', ',', ',,;=', '\u{1f600}'.repeat(40), '0'.repeat(100_000), ' '.repeat(100_000)]) {
      propagator.extract(() => text);
    }
  });

  if (name === 'baggage') continue;

  test(`${name}: 1,000 contexts are read as they were written`, () => {
    for (let n = 0; n < 1000; n += 1) {
      const context = { traceId: newTraceId(), spanId: newSpanId(), flags: n % 2 === 0 ? '00' : '01', tracestate: '' };
      if (name === 'tracecontext') {
        context.flags = (n % 256).toString(16).padStart(2, '0');
        context.tracestate = n % 3 === 0 ? '' : `k${n}=${newSpanId()},x@y=${newTraceId()}`;
      }
      const read = propagator.extract(getter(present(propagator.inject(context))));
      assert.deepEqual(read, { context, fault: null });
    }
  });

  test(`${name}: a context without a span is not written`, () => {
    assert.deepEqual(propagator.inject({ baggage: 'a=1', tracestate: 'a=1' }), []);
    assert.deepEqual(propagator.inject({ traceId: SPAN.traceId, flags: '01' }), []);
  });
}

test('every propagator of the fixtures is there', () => {
  assert.deepEqual(Object.keys(PROPAGATORS), ['tracecontext', 'baggage', 'b3', 'b3multi', 'jaeger']);
});

test('a traceparent is never written without its tracestate', () => {
  const value = `00-${SPAN.traceId}-${SPAN.spanId}-01`;
  for (const tracestate of [undefined, '']) {
    assert.deepEqual(PROPAGATORS.tracecontext.inject({ ...SPAN, tracestate }), [['traceparent', value], ['tracestate', null]]);
  }
  const written = PROPAGATORS.tracecontext.inject({ ...SPAN, tracestate: 'a=1' });
  assert.deepEqual(written, [['traceparent', value], ['tracestate', 'a=1']]);
});

test('baggage that is not there is left alone', () => {
  assert.deepEqual(PROPAGATORS.baggage.inject({ ...SPAN, baggage: '' }), []);
});

test('white space is trimmed as Unicode defines it', () => {
  /** @type {[name: 'tracecontext' | 'b3' | 'jaeger', header: string, value: string][]} */
  const values = [
    ['tracecontext', 'traceparent', `00-${SPAN.traceId}-${SPAN.spanId}-01`],
    ['b3', 'b3', `${SPAN.traceId}-${SPAN.spanId}-1`],
    ['jaeger', 'uber-trace-id', `${SPAN.traceId}:${SPAN.spanId}:0:1`],
  ];
  for (const [name, header, value] of values) {
    const { extract } = PROPAGATORS[name];
    for (const space of [' ', '\t', '\u0085', '\u00a0', '\u2003']) {
      assert.equal(extract(getter({ [header]: `${space}${value}${space}` })).fault, null, JSON.stringify(space));
    }
    assert.notEqual(extract(getter({ [header]: `\ufeff${value}` })).fault, null);
  }
});

test('flags are sampled by their lowest bit', () => {
  for (const flags of ['01', '03', 'ff', '0d']) assert.equal(isSampled(flags), true, flags);
  for (const flags of ['00', '02', 'fe', '10']) assert.equal(isSampled(flags), false, flags);
});

test('propagators are found by their names, in the order of these', () => {
  const { b3, jaeger } = PROPAGATORS;
  assert.deepEqual(propagatorsOf(['jaeger', 'xray', 'constructor', '__proto__', 'b3']), [jaeger, b3]);
});

test('baggage of two is merged by key', async (t) => {
  /** @type {[why: string, theirs: string, ours: string, merged: string][]} */
  const cases = [
    ['none', '', '', ''],
    ['theirs alone', 'a=1,b=2', '', 'a=1,b=2'],
    ['ours alone', '', 'a=1,b=2;p', 'a=1,b=2;p'],
    ['theirs come first', 'b=2', 'a=1', 'b=2,a=1'],
    ['theirs win', 'a=1,b=2', 'b=3,c=4', 'a=1,b=2,c=4'],
    ['white space is not part of a key', 'a = 1', 'a=2,b =3', 'a = 1,b =3'],
    ['a property is not a key', 'a=1;b=2', 'b=3', 'a=1;b=2,b=3'],
    ['keys have capitals', 'a=1', 'A=2', 'a=1,A=2'],
  ];
  for (const [why, theirs, ours, merged] of cases) await t.test(why, () => assert.equal(mergeBaggage(theirs, ours), merged));
});

test('baggage of two is merged within the limits', () => {
  /** @param {string} prefix @param {number} count */
  const many = (prefix, count) => Array.from({ length: count }, (_, n) => `${prefix}${n}=v`);
  const merged = mergeBaggage(many('t', 60).join(), many('o', 60).join());
  assert.equal(merged, [...many('t', 60), ...many('o', 4)].join());

  const theirs = `a=${'x'.repeat(8000)}`;
  assert.equal(mergeBaggage(theirs, `b=${'y'.repeat(200)},c=1`), `${theirs},c=1`);
  const exact = `b=${'y'.repeat(8192 - theirs.length - 3)}`;
  assert.equal(mergeBaggage(theirs, exact).length, 8192);
  assert.equal(mergeBaggage(theirs, `${exact}y`), theirs);
});
