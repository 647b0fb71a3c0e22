/**
 * Reports tests and their steps to `navtrace run`, which makes spans of them, and adds the trace of each test to Playwright's reports.
 *
 * `navtrace run` adds this reporter beside a project's own (PW_TEST_REPORTER); NAVTRACE_REPORTER names the file for a configuration.
 * Without navtrace it does nothing. It never throws, and nothing waits for it, except the end of the run until all is read, within limits.
 */

import { connect } from 'node:net';
import { stripVTControlCharacters } from 'node:util';

/** @import { Socket } from 'node:net' */
/** @import { Reporter, Suite, TestCase, TestError, TestResult, TestStep } from '@playwright/test/reporter' */
/** @typedef {{ type: string, description?: string }} Annotation */
/**
 * A test attempt that has begun.
 *
 * @typedef {object} Attempt
 * @property {number} id
 * @property {TestCase} test
 * @property {TestResult} result
 * @property {Map<TestStep, number>} steps ids of its open steps
 * @property {number} begun number of its steps so far
 * @property {number} dropped number of its steps that are not reported
 * @property {Annotation[]} annotations what the reports get, once it is known
 * @property {boolean} hasEnded
 */
/** @typedef {{ notice?: unknown, attempt?: unknown, traceId?: unknown, link?: unknown }} Notice */

/** Categories of the steps that become spans. */
const CATEGORIES = new Set(['hook', 'fixture', 'pw:api', 'expect', 'test.step']);

/** Limits for texts, in characters, for lists, and for the steps of a test. */
const MAX_NAME = 500;
const MAX_TEXT = 8000;
const MAX_ITEMS = 20;
const MAX_STEPS = 2000;

/** Steps are not reported while this many bytes wait, so that a slow reader costs no memory. */
const MAX_WAITING = 4 << 20;

/** Longest line to read, in characters. */
const MAX_LINE = 16_384;

/** Longest wait at the end of a run for `navtrace run` to read all reports and to answer, in milliseconds. A healthy run takes a few. */
const MAX_FLUSH = 5000;

/** A line of Playwright's call log with what was typed, which may have several lines, and may be cut. */
const TYPED = /^([ -]*(?:\d+ × )?(?:elementHandle\.)?(?:fill|type|press)\(")(?:.*?"\)$|.*)/gms;

/** @param {string} text @param {number} [max] */
const cut = (text, max = MAX_NAME) => (text.length > max ? `${text.slice(0, max)}…` : text);

/** @param {Date} start @param {number} duration in milliseconds */
const endOf = (start, duration) => start.getTime() + Math.max(duration, 0);

/** @param {{ file: string, line: number } | undefined} location */
const place = (location) => (location === undefined ? {} : { file: cut(location.file), line: location.line });

/** @param {string} title */
const isBlank = (title) => title.trim() === '';

/** @param {string[]} titles */
const joined = (titles) => titles.filter((title) => !isBlank(title)).join(' › ');

/** Returns an error's text without colors and without what was typed. @param {string} text */
const plain = (text) => cut(stripVTControlCharacters(text), MAX_TEXT).replace(TYPED, '$1…")');

/** @param {TestError} error */
function plainError({ message, value, stack }) {
  const text = plain(message ?? value ?? 'unknown error');
  // Playwright gives no name of its own: a message begins with it.
  const kind = /^(\w*Error)\b/.exec(text)?.[1];
  return { kind, message: text, stack: stack === undefined ? undefined : plain(stack) };
}

/** Returns an address as a whole, or none if it depends on what is not known. @param {unknown} url @param {TestCase} test */
function absolute(url, test) {
  if (typeof url !== 'string') return undefined;
  const base = test.parent?.project()?.use.baseURL;
  return URL.canParse(url, base) ? cut(new URL(url, base).href, MAX_TEXT) : undefined;
}

/**
 * Names a step. What is typed into a page may be a secret, and so may a page's address, which is reported apart.
 *
 * @param {TestStep & { subtitle?: string, params?: Record<string, unknown> }} step @param {TestCase} test
 */
function describe({ category, title, subtitle, params }, test) {
  const name = category === 'pw:api' ? title.replace(/ ".*$/s, '') : title;
  const isAddress = params?.url !== undefined;
  return { category, title: cut(isBlank(name) ? category : name), detail: subtitle && !isAddress ? cut(subtitle) : undefined, url: absolute(params?.url, test) };
}

/** @param {TestCase} test @param {TestResult} result */
function describeTest(test, { workerIndex, retry, startTime }) {
  // The titles of the root, the project and the file, then those of `describe` and `test`, which may be blank.
  const [, project = '', file = '', ...titles] = test.titlePath();
  const title = titles.pop() ?? '';
  const groups = joined(titles);
  const name = joined([groups, isBlank(title) ? `${file}:${test.location.line}` : title]);
  return {
    name: cut(name),
    case: cut(joined([file, name])),
    suite: cut(groups === '' ? file : groups),
    project: cut(project),
    ...place(test.location),
    retry,
    worker: workerIndex,
    // Older versions have no tags.
    tags: (test.tags ?? []).slice(0, MAX_ITEMS).map((tag) => cut(tag)),
    time: startTime.getTime(),
  };
}

/** A connection to `navtrace run`: lines of JSON in both directions. */
class Connection {
  #socket;
  #received;
  #rest = '';
  /** @type {Promise<void>} settled when the connection has ended */
  closed;

  /** @param {string} path @param {(notice: Notice) => void} received */
  constructor(path, received) {
    this.#received = received;
    this.#socket = connect(path);
    // The test run does not stay alive for this.
    this.#socket.unref();
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text) => this.#read(String(text)));
    this.closed = new Promise((resolve) => this.#socket.on('close', () => resolve()));
    this.#socket.on('error', () => this.#socket.destroy());
  }

  get isCrowded() {
    return this.#socket.writableLength > MAX_WAITING;
  }

  /** @param {object} report */
  send(report) {
    // Half of a character that is cut, or a page's text, would be an escape that no JSON parser but JavaScript's takes.
    const line = JSON.stringify(report, (_key, value) => (typeof value === 'string' ? value.replace(/\p{Surrogate}/gu, '\ufffd') : value));
    if (!this.#socket.destroyed) this.#socket.write(`${line}\n`);
  }

  end() {
    this.#socket.end();
  }

  destroy() {
    this.#socket.destroy();
  }

  /** @param {string} text */
  #read(text) {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_LINE) return this.destroy();
    for (const line of lines) {
      try {
        this.#received(JSON.parse(line));
      } catch {
        // A line that can't be read is of no use.
      }
    }
  }
}

/** @type {NavtraceReporter | null} the one that reports: a configuration may name it although `navtrace run` has added it */
let active = null;

/** @implements {Reporter} */
export default class NavtraceReporter {
  /** @type {Connection | null} */
  #connection = null;
  /** @type {Map<TestResult, Attempt>} attempts that are not in the reports yet */
  #attempts = new Map();
  /** @type {Map<TestCase, Annotation[][]>} what each attempt of a test has for the reports, in their order */
  #reported = new Map();
  #begun = 0;
  #socket = process.env.NAVTRACE_RUN ?? '';
  #isMerging;

  /** @param {{ _mode?: string }} [options] */
  constructor(options) {
    // Reports of earlier runs that are merged have tests too.
    this.#isMerging = options?._mode === 'merge';
  }

  printsToStdio() {
    return false;
  }

  onBegin() {
    active ??= this;
  }

  /** @param {TestCase} test @param {TestResult} result */
  onTestBegin(test, result) {
    this.#try(() => {
      // A test that is skipped never runs.
      if (this.#isMerging || result.workerIndex < 0 || test.expectedStatus === 'skipped' || !this.#connect()) return;
      const id = ++this.#begun;
      this.#attempts.set(result, { id, test, result, steps: new Map(), begun: 0, dropped: 0, annotations: [], hasEnded: false });
      this.#send({ report: 'test-began', attempt: id, pid: process.pid, ...describeTest(test, result) });
    });
  }

  /** @param {TestCase} test @param {TestResult} result @param {TestStep} step */
  onStepBegin(test, result, step) {
    this.#try(() => {
      const attempt = this.#attempts.get(result);
      if (attempt === undefined || !CATEGORIES.has(step.category)) return;
      if (attempt.begun >= MAX_STEPS || this.#connection?.isCrowded) {
        attempt.dropped += 1;
        return;
      }
      const id = ++attempt.begun;
      attempt.steps.set(step, id);
      // A step between may be of another category.
      let parent = step.parent;
      while (parent !== undefined && !attempt.steps.has(parent)) parent = parent.parent;
      const above = parent === undefined ? undefined : attempt.steps.get(parent);
      const time = step.startTime.getTime();
      this.#send({ report: 'step-began', attempt: attempt.id, step: id, parent: above, ...describe(step, test), ...place(step.location), time });
    });
  }

  /** @param {TestCase} _test @param {TestResult} result @param {TestStep} step */
  onStepEnd(_test, result, step) {
    this.#try(() => {
      const attempt = this.#attempts.get(result);
      const id = attempt?.steps.get(step);
      if (attempt === undefined || id === undefined) return;
      attempt.steps.delete(step);
      const error = step.error === undefined ? undefined : plainError(step.error);
      this.#send({ report: 'step-ended', attempt: attempt.id, step: id, time: endOf(step.startTime, step.duration), error });
    });
  }

  /** @param {TestCase} test @param {TestResult} result */
  onTestEnd(test, result) {
    this.#try(() => {
      const attempt = this.#attempts.get(result);
      if (attempt === undefined) return;
      attempt.hasEnded = true;
      attempt.steps.clear();
      const { status, startTime, duration } = result;
      const errors = result.errors.slice(0, MAX_ITEMS).map(plainError);
      const [passed, time, droppedSteps] = [status === test.expectedStatus, endOf(startTime, duration), attempt.dropped];
      this.#send({ report: 'test-ended', attempt: attempt.id, status, passed, time, errors, droppedSteps });
      this.#annotate(attempt);
    });
  }

  /** Waits for `navtrace run` to read what was sent, and to end the connection. */
  async onEnd() {
    // Then no browser is missing.
    if (this.#begun === 0 && this.#connect()) this.#send({ report: 'no-test-ran' });
    if (active === this) active = null;
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) return;
    connection.end();
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const limit = new Promise((resolve) => (timer = setTimeout(resolve, MAX_FLUSH)));
    await Promise.race([connection.closed, limit]);
    clearTimeout(timer);
    connection.destroy();
  }

  /** Connects to `navtrace run`. Returns whether this reporter reports to one. */
  #connect() {
    if (this.#socket === '' || active !== this) return false;
    this.#connection ??= new Connection(this.#socket, (notice) => this.#received(notice));
    return true;
  }

  /** @param {object} report */
  #send(report) {
    this.#connection?.send(report);
  }

  /** @param {Notice} notice */
  #received({ notice, attempt: id, traceId, link }) {
    if (notice !== 'trace' || typeof traceId !== 'string') return;
    const attempt = [...this.#attempts.values()].find((known) => known.id === id);
    if (attempt === undefined) return;
    attempt.annotations = [{ type: 'trace', description: traceId }];
    if (typeof link === 'string') attempt.annotations.push({ type: 'trace link', description: link });
    if (attempt.hasEnded) this.#annotate(attempt);
  }

  /**
   * Adds the trace of an attempt that has ended to the reports. Playwright replaces all annotations when an attempt ends, so those of a test, which
   * has all attempts, begin anew.
   *
   * @param {Attempt} attempt
   */
  #annotate(attempt) {
    const { test, result, annotations } = attempt;
    const earlier = this.#reported.get(test) ?? [];
    const all = annotations.length === 0 ? earlier : [...earlier, annotations];
    this.#reported.set(test, all);
    result.annotations?.push(...annotations);
    const known = new Set(test.annotations);
    test.annotations.push(...all.flat().filter((annotation) => !known.has(annotation)));
    if (annotations.length > 0) this.#attempts.delete(result);
  }

  /** A fault here must not become one of the test run. @param {() => void} work */
  #try(work) {
    try {
      work();
    } catch {
      this.#connection?.destroy();
      this.#connection = null;
    }
  }
}
