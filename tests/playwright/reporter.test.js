import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';

import Reporter from '../../src/run/test_runner/reporter.mjs';

/** @import { Server, Socket } from 'node:net' */
/** @import { TestCase, TestResult, TestStep } from '@playwright/test/reporter' */
/** @typedef {{ type: string, description?: string }} Annotation */

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

/** What `navtrace run` receives. */
let folder = '';
/** @type {Server} */
let server;
/** @type {any[]} */
let reports = [];
/** @type {Socket[]} */
let sockets = [];
/** @type {(report: any, socket: Socket) => void} what it answers */
let answer = () => {};
/** @type {() => void} */
let arrived = () => {};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reporter-'));
  [reports, sockets, answer] = [[], [], () => {}];
  server = createServer((socket) => {
    sockets.push(socket);
    let rest = '';
    socket.on('data', (data) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        reports.push(JSON.parse(line));
        answer(reports.at(-1), socket);
      }
      arrived();
    });
    socket.on('error', () => {});
  });
  const path = join(folder, 'run');
  await new Promise((resolve) => server.listen(path, () => resolve(null)));
  process.env.NAVTRACE_RUN = path;
});

afterEach(() => {
  delete process.env.NAVTRACE_RUN;
  for (const socket of sockets) socket.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});

/** Answers as `navtrace run` does. @param {any} report @param {Socket} socket */
function answerTraces(report, socket) {
  if (report.report !== 'test-began') return;
  const traceId = TRACE.slice(0, -1) + report.attempt;
  socket.write(`${JSON.stringify({ notice: 'trace', attempt: report.attempt, traceId, link: `http://traces.test/${traceId}` })}\n`);
}

/** @param {(found: any[]) => boolean} isThere */
async function until(isThere) {
  while (!isThere(reports)) await new Promise((resolve) => (arrived = () => resolve(null)));
}

/** @param {object} [more] */
function testCase(more) {
  return /** @type {TestCase} */ (/** @type {unknown} */ ({
    titlePath: () => ['', 'web', 'a.spec.js', 'cart', 'buys'],
    location: { file: '/tests/a.spec.js', line: 3, column: 1 },
    expectedStatus: 'passed',
    tags: ['@smoke'],
    annotations: [],
    ...more,
  }));
}

/** @param {object} [more] */
function testResult(more) {
  const result = { workerIndex: 2, retry: 1, startTime: new Date(1000), duration: 500, status: 'passed', errors: [], annotations: [], ...more };
  return /** @type {TestResult} */ (/** @type {unknown} */ (result));
}

/** @param {object} more */
function step(more) {
  const known = { category: 'test.step', title: 'fills', startTime: new Date(1100), duration: 50, ...more };
  return /** @type {TestStep} */ (/** @type {unknown} */ (known));
}

/** Ends an attempt as Playwright does, which replaces all annotations. @param {Reporter} reporter @param {TestCase} ended @param {TestResult} result */
function end(reporter, ended, result) {
  result.annotations = [];
  ended.annotations = [];
  reporter.onTestEnd(ended, result);
}

function begin() {
  const reporter = new Reporter();
  reporter.onBegin();
  return reporter;
}

test('a test and its steps are reported', async () => {
  const reporter = begin();
  const [attempt, result] = [testCase(), testResult()];
  reporter.onTestBegin(attempt, result);
  const outer = step({ location: { file: '/tests/a.spec.js', line: 5, column: 1 } });
  const attach = step({ category: 'test.attach', parent: outer });
  const inner = step({ category: 'pw:api', title: 'Navigate', subtitle: 'shop.test', params: { url: 'http://shop.test/' }, parent: attach });
  for (const begun of [outer, attach, inner]) reporter.onStepBegin(attempt, result, begun);
  reporter.onStepEnd(attempt, result, Object.assign(inner, { error: { message: '\u001b[31mTimeoutError: late\u001b[39m' } }));
  reporter.onStepEnd(attempt, result, attach);
  reporter.onStepEnd(attempt, result, outer);
  Object.assign(result, { status: 'failed', errors: [{ message: '\u001b[2mno\u001b[22m', stack: '\u001b[2mno\u001b[22m\n at x' }] });
  end(reporter, attempt, result);
  await reporter.onEnd();
  const place = { file: '/tests/a.spec.js', line: 5 };
  assert.deepEqual(reports, [
    {
      report: 'test-began', attempt: 1, pid: process.pid, name: 'cart › buys', case: 'a.spec.js › cart › buys', suite: 'cart', project: 'web',
      file: '/tests/a.spec.js', line: 3, retry: 1, worker: 2, tags: ['@smoke'], time: 1000,
    },
    { report: 'step-began', attempt: 1, step: 1, category: 'test.step', title: 'fills', ...place, time: 1100 },
    { report: 'step-began', attempt: 1, step: 2, parent: 1, category: 'pw:api', title: 'Navigate', url: 'http://shop.test/', time: 1100 },
    { report: 'step-ended', attempt: 1, step: 2, time: 1150, error: { kind: 'TimeoutError', message: 'TimeoutError: late' } },
    { report: 'step-ended', attempt: 1, step: 1, time: 1150 },
    { report: 'test-ended', attempt: 1, status: 'failed', passed: false, time: 1500, errors: [{ message: 'no', stack: 'no\n at x' }], droppedSteps: 0 },
  ]);
});

test('texts with halves of characters can be read by every JSON parser', async () => {
  const lines = /** @type {string[]} */ ([]);
  answer = (report) => void lines.push(JSON.stringify(report));
  const reporter = begin();
  const attempt = testCase({ titlePath: () => ['', '', 'a.spec.js', `${'a'.repeat(499)}😀`], tags: ['😀'] });
  const result = testResult({ errors: [{ message: 'no \ud83d', stack: '\ude00 at x' }], status: 'failed' });
  reporter.onTestBegin(attempt, result);
  end(reporter, attempt, result);
  await reporter.onEnd();
  assert.deepEqual([reports[0].name, reports[0].tags], [`${'a'.repeat(499)}\ufffd…`, ['😀']]);
  assert.deepEqual(reports[1].errors, [{ message: 'no \ufffd', stack: '\ufffd at x' }]);
  assert.doesNotMatch(lines.join(''), /\\u/);
});

test('what is typed into a page is not reported', async () => {
  const reporter = begin();
  const [attempt, result] = [testCase(), testResult()];
  reporter.onTestBegin(attempt, result);
  const fill = { category: 'pw:api', title: 'Fill "hunter2"', subtitle: "locator('#a')", params: { locator: "locator('#a')", value: 'hunter2' } };
  const earlier = { category: 'pw:api', title: 'Fill "hunter2\nhunter2" locator(\'#a\')' };
  const check = { category: 'expect', title: 'Expect "toHaveText"', subtitle: "locator('#b')", params: { expected: 'hunter2' } };
  const begun = [fill, earlier, check].map(step);
  for (const one of begun) reporter.onStepBegin(attempt, result, one);
  const log = (/** @type {string} */ call) => `locator.fill: Timeout.\nCall log:\n\u001b[2m  - waiting for locator('#a')\u001b[22m\n${call}`;
  const calls = [
    '\u001b[2m    - fill("hunter2\u001b[22m\n\u001b[2m"hunter2") y")\u001b[22m\n  - 2 × fill("hunter2")\n  - attempting fill action',
    '  - elementHandle.type("hunter2")\n  - elementHandle.press("hunter2")',
    `${'x'.repeat(7900)}\n  - fill("hunter2${'y'.repeat(200)}")`,
  ].map(log);
  reporter.onStepEnd(attempt, result, Object.assign(/** @type {TestStep} */ (begun[0]), { error: { message: calls[0], stack: `${calls[0]}\n at x` } }));
  Object.assign(result, { errors: [...calls.map((message) => ({ message })), { message: 'expected fill("abc") to work' }] });
  end(reporter, attempt, result);
  await reporter.onEnd();
  const titles = reports.filter(({ report }) => report === 'step-began').map(({ title, detail }) => [title, detail]);
  assert.deepEqual(titles, [['Fill', "locator('#a')"], ['Fill', undefined], ['Expect "toHaveText"', "locator('#b')"]]);
  assert.equal(JSON.stringify(reports).includes('hunter2'), false);
  const messages = reports.at(-1).errors.map((/** @type {{ message: string }} */ { message }) => message.replace(/^.*#a'\)\n(x+\n)?/s, ''));
  assert.deepEqual(messages, [
    '    - fill("…")\n  - 2 × fill("…")\n  - attempting fill action',
    '  - elementHandle.type("…")\n  - elementHandle.press("…")',
    '  - fill("…")',
    'expected fill("abc") to work',
  ]);
  assert.match(reports.find(({ report }) => report === 'step-ended').error.stack, /attempting fill action\n at x$/);
});

test('addresses of steps are completed by the base of the project', async () => {
  const reporter = begin();
  const project = () => ({ use: { baseURL: 'http://shop.test/base/' } });
  for (const attempt of [testCase({ parent: { project } }), testCase({ parent: { project: () => undefined } })]) {
    const result = testResult();
    reporter.onTestBegin(attempt, result);
    for (const url of ['/cart?a=1', 'http://other.test/', 'cart', {}]) {
      reporter.onStepBegin(attempt, result, step({ category: 'pw:api', title: 'Navigate', subtitle: 'x', params: { url } }));
    }
  }
  await reporter.onEnd();
  const urls = reports.filter(({ report }) => report === 'step-began').map(({ url, detail }) => url ?? detail ?? '-');
  assert.deepEqual(urls, ['http://shop.test/cart?a=1', 'http://other.test/', 'http://shop.test/base/cart', '-', '-', 'http://other.test/', '-', '-']);
});

test('the reports of Playwright get the trace of each attempt', async () => {
  answer = answerTraces;
  const reporter = begin();
  const attempt = testCase();
  const results = [testResult({ retry: 0 }), testResult()];
  const known = (/** @type {number} */ id) => [
    { type: 'trace', description: TRACE.slice(0, -1) + id },
    { type: 'trace link', description: `http://traces.test/${TRACE.slice(0, -1)}${id}` },
  ];
  for (const result of results) {
    reporter.onTestBegin(attempt, result);
    end(reporter, attempt, result);
  }
  await reporter.onEnd();
  assert.deepEqual(results.map(({ annotations }) => annotations), [known(1), known(2)]);
  assert.deepEqual(attempt.annotations, [...known(1), ...known(2)]);
});

test('an answer may come before the end of the test', async () => {
  answer = answerTraces;
  const reporter = begin();
  const [attempt, result] = [testCase(), testResult()];
  reporter.onTestBegin(attempt, result);
  await until((found) => found.length > 0);
  // The answer was written before this.
  const step1 = step({});
  reporter.onStepBegin(attempt, result, step1);
  await until((found) => found.length > 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([attempt.annotations, result.annotations], [[], []]);
  end(reporter, attempt, result);
  await reporter.onEnd();
  assert.equal(attempt.annotations.length, 2);
  assert.equal(result.annotations.length, 2);
});

test('without navtrace nothing happens', async () => {
  delete process.env.NAVTRACE_RUN;
  const reporter = begin();
  const [attempt, result] = [testCase(), testResult()];
  reporter.onTestBegin(attempt, result);
  reporter.onStepBegin(attempt, result, step({}));
  end(reporter, attempt, result);
  await reporter.onEnd();
  assert.deepEqual([reports, attempt.annotations], [[], []]);
  assert.equal(reporter.printsToStdio(), false);
});

test('tests that never run are not reported', async () => {
  const reporter = begin();
  for (const [skipped, result] of /** @type {[TestCase, TestResult][]} */ ([
    [testCase(), testResult({ workerIndex: -1 })],
    [testCase({ expectedStatus: 'skipped' }), testResult()],
  ])) {
    reporter.onTestBegin(skipped, result);
    reporter.onTestEnd(skipped, result);
  }
  await reporter.onEnd();
  const merged = new Reporter({ _mode: 'merge' });
  merged.onBegin();
  merged.onTestBegin(testCase(), testResult());
  await merged.onEnd();
  // So that nobody looks for their browser.
  assert.deepEqual(reports, Array.from({ length: 2 }, () => ({ report: 'no-test-ran' })));
});

test('a test or a step with a blank title is named all the same', async () => {
  const reporter = begin();
  for (const titles of [[''], ['cart', ' '], ['', 'buys']]) {
    const [attempt, result] = [testCase({ titlePath: () => ['', '', 'a.spec.js', ...titles] }), testResult()];
    reporter.onTestBegin(attempt, result);
    reporter.onStepBegin(attempt, result, step({ title: '  ' }));
  }
  await reporter.onEnd();
  const tests = reports.filter(({ report }) => report === 'test-began').map(({ name, case: full, suite }) => [name, full, suite]);
  assert.deepEqual(tests, [
    ['a.spec.js:3', 'a.spec.js › a.spec.js:3', 'a.spec.js'],
    ['cart › a.spec.js:3', 'a.spec.js › cart › a.spec.js:3', 'cart'],
    ['buys', 'a.spec.js › buys', 'a.spec.js'],
  ]);
  assert.equal(reports.find(({ report }) => report === 'step-began').title, 'test.step');
});

test('a reporter that is named twice reports once', async () => {
  const reporters = [begin(), begin()];
  const [attempt, result] = [testCase(), testResult()];
  for (const reporter of reporters) reporter.onTestBegin(attempt, result);
  for (const reporter of reporters) end(reporter, attempt, result);
  for (const reporter of reporters) await reporter.onEnd();
  assert.deepEqual(reports.map(({ report }) => report), ['test-began', 'test-ended']);
  // Playwright's interface runs tests again in the same process.
  const again = begin();
  again.onTestBegin(attempt, result);
  await again.onEnd();
  assert.deepEqual(reports.map(({ report }) => report), ['test-began', 'test-ended', 'test-began']);
});

test('no fault becomes one of the test run', async () => {
  process.env.NAVTRACE_RUN = join(folder, 'missing');
  const gone = begin();
  gone.onTestBegin(testCase(), testResult());
  await gone.onEnd();

  process.env.NAVTRACE_RUN = join(folder, 'run');
  answer = (_report, socket) => void socket.write('{"notice":\n[]\nnull\n{"notice":"trace","attempt":7,"traceId":"x"}\n');
  const reporter = begin();
  const [attempt, result] = [testCase(), testResult()];
  reporter.onTestBegin(attempt, result);
  reporter.onTestBegin(/** @type {TestCase} */ ({}), testResult());
  reporter.onStepBegin(attempt, result, /** @type {TestStep} */ ({ category: 'hook' }));
  end(reporter, attempt, result);
  await reporter.onEnd();
  assert.deepEqual(attempt.annotations, []);
});

/** Stops reading what the reporter sends. */
async function stopReading() {
  server.close();
  server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => sockets.push(socket));
  const path = join(folder, 'stuck');
  await new Promise((resolve) => server.listen(path, () => resolve(null)));
  process.env.NAVTRACE_RUN = path;
}

/** Begins a test with steps that are far more than what waits in memory, and returns the number of steps. */
function crowd() {
  const reporter = begin();
  const [attempt, result] = [testCase(), testResult()];
  reporter.onTestBegin(attempt, result);
  for (let count = 0; count < 1500; count += 1) {
    const url = `http://shop.test/${count}/${'y'.repeat(7900)}`;
    reporter.onStepBegin(attempt, result, step({ category: 'pw:api', title: 'Navigate', params: { url } }));
  }
  end(reporter, attempt, result);
  return { reporter, begun: 1500 };
}

test('steps that are not read in time are counted', async () => {
  await stopReading();
  const { reporter, begun } = crowd();
  const ended = reporter.onEnd();
  while (sockets.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const socket = /** @type {Socket} */ (sockets[0]);
  let text = '';
  socket.setEncoding('utf8').on('data', (data) => (text += data)).on('end', () => socket.end()).resume();
  await ended;
  const found = text.trim().split('\n').map((line) => JSON.parse(line));
  const sent = found.filter(({ report }) => report === 'step-began').length;
  assert.ok(sent > 0 && sent < begun, `${sent} steps`);
  assert.equal(found.at(-1).droppedSteps, begun - sent);
});

test('a run that does not read delays the end of the tests by a limited time', async ({ mock }) => {
  await stopReading();
  mock.timers.enable({ apis: ['setTimeout'] });
  const { reporter } = crowd();
  let hasEnded = false;
  const ended = reporter.onEnd().then(() => (hasEnded = true));
  mock.timers.tick(4999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasEnded, false);
  mock.timers.tick(1);
  await ended;
});

test('texts and steps are limited', async () => {
  const reporter = begin();
  const attempt = testCase({ titlePath: () => ['', '', 'a.spec.js', 'x'.repeat(100_000)], tags: Array.from({ length: 100 }, () => '@tag') });
  const result = testResult({ errors: Array.from({ length: 100 }, () => ({ message: 'e'.repeat(100_000) })), status: 'failed' });
  reporter.onTestBegin(attempt, result);
  for (let count = 0; count < 3000; count += 1) reporter.onStepBegin(attempt, result, step({}));
  end(reporter, attempt, result);
  await reporter.onEnd();
  assert.equal(reports.length, 2002);
  const [began, ended] = [reports[0], reports.at(-1)];
  assert.deepEqual([began.name.length, began.tags.length], [501, 20]);
  assert.deepEqual([ended.errors.length, ended.errors[0].message.length, ended.droppedSteps], [20, 8001, 1000]);
});
