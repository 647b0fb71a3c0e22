import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULT_STEERING, STEERING_HEADERS, nameFault, readSteering, steeringHeader, steers } from '../../extension/context/steering.js';

/** @import { Steering } from '../../extension/context/steering.js' */

const DIRECTIVES = 'there are off, on, propagator, sampling, new-trace, traceparent, mode, name and attributes';
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const PARENT = { traceId: TRACEPARENT.slice(3, 35), spanId: TRACEPARENT.slice(36, 52), flags: '01', tracestate: '' };
const ATTRIBUTE = 'is not an attribute, as in "attributes=test.scenario:ui,test.vu:1"';
const PROPAGATORS = 'there are tracecontext, baggage, b3, b3multi and jaeger';

test('the header is found under both names', () => {
  assert.deepEqual(STEERING_HEADERS, ['sec-ch-navtrace', 'navtrace']);
  const old = { name: 'NavTrace', value: 'off' };
  assert.deepEqual(steeringHeader([{ name: 'a' }, old]), old);
  assert.match(nameFault('NavTrace') ?? '', /navtrace .* use sec-ch-navtrace/);
  const named = { name: 'Sec-CH-NavTrace' };
  assert.deepEqual(steeringHeader([named]), named);
  assert.equal(nameFault(named.name), null);
  assert.equal(steeringHeader(undefined), undefined);
});

test('a header says what its requests carry', async (t) => {
  /** @type {[value: string, asked: Partial<Steering>][]} */
  const cases = [
    ['off', { off: true }],
    ['on', {}],
    ['new-trace', { newTrace: true }],
    ['propagator=b3', { propagators: ['b3'] }],
    ['propagator=b3,jaeger; sampling=0.1; new-trace', { propagators: ['b3', 'jaeger'], sampling: 0.1, newTrace: true }],
    ['on; sampling=1', { sampling: 1 }],
    ['off; new-trace', { off: true, newTrace: true }],
    ['\t OFF ;;', { off: true }],
    [' Propagator = B3Multi , ,TRACECONTEXT ; New-Trace', { propagators: ['b3multi', 'tracecontext'], newTrace: true }],
    ['propagator=w3c', { propagators: ['tracecontext'] }],
    ['propagator=W3C,b3,tracecontext,B3,baggage', { propagators: ['tracecontext', 'b3', 'baggage'] }],
    ['sampling=0', { sampling: 0 }],
    ['sampling=1.0', { sampling: 1 }],
    ['sampling=1.', { sampling: 1 }],
    ['sampling= .25', { sampling: 0.25 }],
    ['sampling=00.5000', { sampling: 0.5 }],
    [`traceparent=${TRACEPARENT}`, { parent: PARENT }],
    [`sampling=1; Traceparent = ${TRACEPARENT}`, { parent: PARENT, sampling: 1 }],
    ['mode=Lightweight', { mode: 'lightweight' }],
  ];
  for (const [value, asked] of cases) {
    await t.test(value, () => {
      const steering = { ...DEFAULT_STEERING, ...asked };
      assert.deepEqual(readSteering(value), { steering, description: null, fault: null });
      assert.equal(steers(steering), Object.keys(asked).length > 0);
    });
  }
});

test('a header describes the root of the trace', () => {
  const attributes = { 'test.scenario': 'a, b; c: é', 'test.vu': '1' };
  assert.deepEqual(readSteering('new-trace; attributes=serviceable:1'), {
    steering: { ...DEFAULT_STEERING, newTrace: true }, description: { attributes: { serviceable: '1' } }, fault: null,
  });
  assert.deepEqual(readSteering('attributes= test.scenario:a%2C%20b%3B%20c%3A%20%C3%A9 , test.vu:1').description, { attributes });
  const { steering, description } = readSteering(`name=an%20iteration; traceparent=${TRACEPARENT}`);
  assert.deepEqual(description, { name: 'an iteration', attributes: {} });
  assert.deepEqual(steering, { ...DEFAULT_STEERING, parent: PARENT }, 'which contexts do not carry');
});

test('a header with anything wrong is ignored, and why', async (t) => {
  const ratio = 'is not a number from 0 to 1, as in "sampling=0.1"';
  /** @type {[value: string, reason: string][]} */
  const cases = [
    ['', `it is empty; ${DIRECTIVES}`],
    [' \t ', `it is empty; ${DIRECTIVES}`],
    [' ; ;', `it is empty; ${DIRECTIVES}`],
    ['ofd', `"ofd" is not known (did you mean "off"?); ${DIRECTIVES}`],
    ['Samplin=1', `"Samplin" is not known (did you mean "sampling"?); ${DIRECTIVES}`],
    ['newtrace', `"newtrace" is not known (did you mean "new-trace"?); ${DIRECTIVES}`],
    ['propagators=b3', `"propagators" is not known (did you mean "propagator"?); ${DIRECTIVES}`],
    ['b3', `"b3" is not known; ${DIRECTIVES}`],
    ['toString', `"toString" is not known; ${DIRECTIVES}`],
    ['__proto__=1', `"__proto__" is not known; ${DIRECTIVES}`],
    ['=1', `"" is not known; ${DIRECTIVES}`],
    ['off, new-trace', `"off, new-trace" is not known; ${DIRECTIVES}`],
    ['new-trace; wrong', `"wrong" is not known; ${DIRECTIVES}`],
    ['off; OFF', '"OFF" is there twice'],
    ['sampling=1;sampling=1', '"sampling" is there twice'],
    ['off; on', '"off" and "on" exclude each other'],
    ['on; off', '"off" and "on" exclude each other'],
    [`new-trace; traceparent=${TRACEPARENT}`, '"new-trace" and "traceparent" exclude each other'],
    ['traceparent', `"traceparent" has no value, as in "traceparent=${TRACEPARENT}"`],
    ['traceparent=00-0', '"00-0" is not a traceparent: expected 55 characters, found 4'],
    ['off=1', '"off=1" has a value, and "off" takes none'],
    ['New-Trace = ', '"New-Trace =" has a value, and "new-trace" takes none'],
    ['sampling', '"sampling" has no value, as in "sampling=0.1"'],
    ['propagator', '"propagator" has no value, as in "propagator=b3,jaeger"'],
    ['propagator=', `"propagator" names none; ${PROPAGATORS}`],
    ['propagator= , ', `"propagator" names none; ${PROPAGATORS}`],
    ['propagator=b3,jager', `"jager" is not a propagator (did you mean "jaeger"?); ${PROPAGATORS}`],
    ['propagator=xray', `"xray" is not a propagator; ${PROPAGATORS}`],
    ['propagator=constructor', `"constructor" is not a propagator; ${PROPAGATORS}`],
    ['sampling=', `"" ${ratio}`],
    ['sampling=1.1', `"1.1" ${ratio}`],
    ['sampling=-0.1', `"-0.1" ${ratio}`],
    ['sampling=1e-3', `"1e-3" ${ratio}`],
    ['sampling=0x1', `"0x1" ${ratio}`],
    ['sampling=.', `"." ${ratio}`],
    ['sampling=NaN', `"NaN" ${ratio}`],
    ['sampling=0,5', `"0,5" ${ratio}`],
    ['sampling=0.1=1', `"0.1=1" ${ratio}`],
    [`sampling=${'9'.repeat(400)}`, `"${'9'.repeat(57)}..." ${ratio}`],
    ['o\nf\u0000é\u{1f600}', `"o?f???" is not known; ${DIRECTIVES}`],
    ['mode=fast', '"fast" is not a mode; there are lightweight and detailed'],
    ['name=iteration', '"name" is that of the span in "traceparent", which is missing'],
    [`name=%; traceparent=${TRACEPARENT}`, '"%" is not a name of up to 64 characters, encoded as in URLs'],
    [`name=${'x'.repeat(65)}; traceparent=${TRACEPARENT}`, `"${'x'.repeat(57)}..." is not a name of up to 64 characters, encoded as in URLs`],
    ['attributes=', `"" ${ATTRIBUTE}`],
    ['attributes=a:1,b', `"b" ${ATTRIBUTE}`],
    ['attributes=__proto__:1', `"__proto__:1" ${ATTRIBUTE}`],
    ['attributes=a:%e0', 'the value of "a" is not one of up to 256 characters, encoded as in URLs'],
    [`attributes=a:${'x'.repeat(257)}`, 'the value of "a" is not one of up to 256 characters, encoded as in URLs'],
    [`attributes=${Array.from({ length: 17 }, (_, n) => `a${n}:1`).join(',')}`, '"attributes" has more than 16'],
    ['attributes=navtrace.unfinished:true', '"navtrace.unfinished" is an attribute of navtrace\'s own'],
    ['attributes=test.vu:1,Service.Name:shop', '"Service.Name" describes the browser, not its spans: set it in OTEL_RESOURCE_ATTRIBUTES'],
    ['attributes=host.name:a', '"host.name" describes the browser, not its spans: set it in OTEL_RESOURCE_ATTRIBUTES'],
    [`name=a%0Ab; traceparent=${TRACEPARENT}`, 'the name "a?b" has control characters'],
    [`name=%1b[31m; traceparent=${TRACEPARENT}`, 'the name "?[31m" has control characters'],
    [`name=%20; traceparent=${TRACEPARENT}`, '"%20" is not a name of up to 64 characters, encoded as in URLs'],
    ['x'.repeat(60), `"${'x'.repeat(60)}" is not known; ${DIRECTIVES}`],
    ['x'.repeat(61), `"${'x'.repeat(57)}..." is not known; ${DIRECTIVES}`],
  ];
  for (const [value, reason] of cases) {
    await t.test(JSON.stringify(value), () => {
      assert.deepEqual(readSteering(value), { steering: null, description: null, fault: `the sec-ch-navtrace header is ignored: ${reason}` });
    });
  }
});

test('a header of any length is read in time', () => {
  for (const value of [`sampling=${'1'.repeat(100_000)}x`, 'x'.repeat(100_000), ' '.repeat(100_000), ';'.repeat(100_000)]) {
    const { fault } = readSteering(value);
    assert.ok(fault !== null && fault.length < 250, fault ?? '');
  }
});

test('headers do not affect each other', () => {
  readSteering('off; new-trace; sampling=0; propagator=b3');
  assert.deepEqual(readSteering('on').steering, DEFAULT_STEERING);
  assert.equal(steers(DEFAULT_STEERING), false);
});
