import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { hasPatternRules } from '../../extension/headers/mode.js';
import { ELSEWHERE, NAMED, PAGE, TAB, TARGETS, answer, anotherHost, carriedBy, carrying, idle, traceOf, visit } from './support/headers.js';
import { MAX_REGEX_LENGTH } from './support/rule-engine.js';
import { resetMocks } from './support/worker.js';

/** A regular expression for {@link ELSEWHERE} that rules refuse. */
const LONG = `^https://elsewhere\\.test/(?:${'x'.repeat(MAX_REGEX_LENGTH)})?`;

/** @param {Awaited<ReturnType<typeof carrying>>} worker */
const problems = (worker) => worker.port.sent.filter(({ type }) => type === 'problem').map(({ message }) => message);

beforeEach(() => void resetMocks());

test('a target that rules refuse gets no headers, and others do', async () => {
  const worker = await carrying({ targets: [...TARGETS.targets, LONG] });
  assert.deepEqual(worker.said(), ['hello', 'problem', 'armed lightweight']);
  assert.match(problems(worker)[0], /^the target ".*\.\.\." is too long or complex for a rule of the browser, so it gets no headers: /);
  assert.equal(traceOf((await visit(worker, '1')).carried), NAMED.traceId);
  assert.deepEqual(carriedBy(worker, { url: ELSEWHERE }), {});
  assert.deepEqual((await visit(worker, '2', {}, ELSEWHERE)).committed, [], 'it is not traced either');
});

test('when rules refuse every target, nothing gets headers', async () => {
  const worker = await carrying({ targets: [LONG] });
  assert.deepEqual(worker.said(), ['hello', 'problem', 'armed lightweight']);
  for (const url of [PAGE, ELSEWHERE]) assert.deepEqual(carriedBy(worker, { url }), {});
});

test('when rules refuse an exclusion, nothing gets headers', async () => {
  const worker = await carrying({ exclude: ['^https://other\\.test/', LONG] });
  assert.match(problems(worker)[0], /^the exclusion ".*so nothing gets headers: /);
  assert.equal(problems(worker).length, 1);
  for (const url of [PAGE, ELSEWHERE]) {
    assert.deepEqual(carriedBy(worker, { url }), {});
    assert.deepEqual((await visit(worker, url, {}, url)).committed, []);
  }
});

test('a refused pattern is reported once', async () => {
  const worker = await carrying({ targets: [LONG] });
  worker.port.receive(answer('auto', { ...NAMED, flags: '01' }, { targets: [LONG], baggage: 'k=v' }));
  await idle();
  assert.equal(problems(worker).length, 1);
  const port = anotherHost(worker.browser, 'lightweight');
  await idle();
  assert.equal(port.sent.filter(({ type }) => type === 'problem').length, 0);
});

test('detailed mode takes every pattern and asks about none', async () => {
  const worker = await carrying({ targets: [LONG] }, { granted: true });
  assert.ok(!worker.browser.calls.includes('isRegexSupported'));
  assert.deepEqual(worker.said(), ['hello', 'armed detailed']);
  assert.equal(traceOf(carriedBy(worker, { url: ELSEWHERE })), NAMED.traceId);
});

test('a refused pattern is used again in detailed mode', async () => {
  const settings = { targets: [LONG] };
  const worker = await carrying(settings, { granted: true, mode: 'lightweight' });
  assert.deepEqual(carriedBy(worker, { url: ELSEWHERE }), {});
  worker.port.receive(answer('detailed', { ...NAMED, flags: '01' }, settings));
  await idle();
  assert.equal(traceOf(carriedBy(worker, { url: ELSEWHERE })), NAMED.traceId);
  worker.port.receive(answer('lightweight', { ...NAMED, flags: '01' }, settings));
  await idle();
  assert.deepEqual(carriedBy(worker, { url: ELSEWHERE }), {});
  assert.equal(problems(worker).length, 1);
});

test('a restarted worker with a refused pattern makes no update', async () => {
  const settings = { targets: [...TARGETS.targets, LONG] };
  const before = await carrying(settings);
  const worker = await carrying(settings, { rules: [...before.browser.rules.values()], restarted: true });
  assert.equal(worker.browser.updates.length, 0);
  assert.equal(problems(worker).length, 1);
  assert.deepEqual(carriedBy(worker, { url: ELSEWHERE }), {});
});

test('no rule changes while the browser is asked about patterns', async () => {
  const worker = await carrying({});
  /** @type {(answer: { isSupported: boolean }) => void} */
  let answerAll = () => {};
  const asked = new Promise((resolve) => (answerAll = resolve));
  mock.method(chrome.declarativeNetRequest, 'isRegexSupported', () => asked);
  const { length } = worker.browser.updates;
  worker.port.receive(answer('auto', { ...NAMED, flags: '01' }, { targets: [LONG] }));
  await idle();
  worker.navigations.opened([TAB + 500], []);
  await idle();
  assert.equal(worker.browser.updates.length, length);
  answerAll({ isSupported: false });
  await idle();
  assert.equal(worker.browser.updates.length, length + 1);
  assert.deepEqual(carriedBy(worker, { url: ELSEWHERE }), {});
});

test('a decision while the browser is asked takes its place', async () => {
  const worker = await carrying({}, { granted: true, mode: 'lightweight' });
  worker.port.receive(answer('lightweight', { ...NAMED, flags: '01' }, { targets: [LONG] }));
  worker.port.receive(answer('detailed', { ...NAMED, flags: '01' }, { targets: [LONG] }));
  await idle();
  assert.deepEqual(worker.said(), ['hello', 'armed lightweight', 'armed detailed']);
  assert.equal(traceOf(carriedBy(worker, { url: ELSEWHERE })), NAMED.traceId);
  assert.deepEqual(problems(worker), []);
});

test('patterns are in rules unless a listener sees every request', () => {
  const has = (/** @type {'lightweight' | 'detailed' | null} */ mode, /** @type {any[]} */ resources, /** @type {'session' | 'none'} */ otherResources) =>
    hasPatternRules(mode, { resources, otherResources });
  assert.deepEqual([has('lightweight', [], 'none'), has('detailed', ['image'], 'session')], [true, true]);
  assert.deepEqual([has('detailed', [], 'session'), has('detailed', ['image'], 'none'), has(null, [], 'none')], [false, false, false]);
});
