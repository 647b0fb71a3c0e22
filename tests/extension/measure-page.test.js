import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { settled } from './support/chrome.js';

let pages = 0;

beforeEach(() => void mock.reset());

/** Runs the script in a page. */
async function measure() {
  /** @type {Record<string, any[]>} */
  const options = {};
  /** @type {Record<string, (entry: object) => void>} */
  const report = {};
  /** @type {Record<string, () => void>} */
  const events = {};
  const state = { broken: false, navigation: /** @type {object[]} */ ([{ toJSON: () => ({ name: 'https://a.test/', responseStart: 3.5, loadEventEnd: 9 }) }]) };
  const sendMessage = mock.fn((/** @type {any} */ _message) => {
    if (state.broken) throw new Error('Extension context invalidated.');
    return Promise.reject(new Error('the worker is gone'));
  });
  class Observer {
    /** @param {(list: { getEntries: () => object[] }) => void} callback */
    constructor(callback) {
      this.callback = callback;
    }

    /** @param {any} option */
    observe(option) {
      options[option.type] = option;
      report[option.type] = (...entries) => this.callback({ getEntries: () => entries });
    }
  }
  const performance = { getEntriesByType: (/** @type {string} */ type) => (type === 'navigation' ? state.navigation : []) };
  const globals = {
    PerformanceObserver: Observer,
    performance,
    addEventListener: (/** @type {string} */ name, /** @type {() => void} */ listener) => void (events[name] = listener),
    chrome: { runtime: { sendMessage } },
  };
  for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  pages += 1;
  await import(String(new URL(`../../extension/observe/measure-page.js?page-${pages}`, import.meta.url)));
  /** Returns what the page sends when it is left. @returns {any} */
  const sent = () => {
    events.pagehide?.();
    return sendMessage.mock.calls.at(-1)?.arguments[0];
  };
  /** @param {number} startTime @param {number} value @param {boolean} [hadRecentInput] */
  const shift = (startTime, value, hadRecentInput = false) => report['layout-shift']?.({ startTime, value, hadRecentInput });
  return { options, report, events, state, sendMessage, sent, shift };
}

test('every type of entry is observed, the earlier ones too', async () => {
  const { options } = await measure();
  assert.deepEqual(Object.keys(options), ['paint', 'largest-contentful-paint', 'layout-shift', 'event']);
  for (const [type, option] of Object.entries(options)) assert.deepEqual(option, { type, buffered: true, durationThreshold: 40 });
});

test('the numbers of the navigation are sent', async () => {
  const { sent, state } = await measure();
  assert.deepEqual(sent(), { what: 'page-measured', vitals: { cls: 0 }, timing: { responseStart: 3.5, loadEventEnd: 9 } });
  state.navigation = [];
  assert.deepEqual(sent().timing, {});
});

test('paints are measured', async () => {
  const { report, sent } = await measure();
  report.paint?.({ name: 'first-paint', startTime: 1 });
  assert.equal(sent().vitals.fcp, undefined);
  report.paint?.({ name: 'first-contentful-paint', startTime: 2 });
  report['largest-contentful-paint']?.({ startTime: 3 });
  report['largest-contentful-paint']?.({ startTime: 4 });
  assert.deepEqual(sent().vitals, { cls: 0, fcp: 2, lcp: 4 });
});

test('the longest interaction is measured', async () => {
  const { report, sent } = await measure();
  report.event?.({ interactionId: 0, duration: 500 });
  assert.equal(sent().vitals.inp, undefined);
  for (const duration of [50, 80, 60]) report.event?.({ interactionId: 7, duration });
  assert.equal(sent().vitals.inp, 80);
});

test('layout shifts add up in windows', async () => {
  const { shift, sent } = await measure();
  shift(2000, 1);
  shift(3000, 2);
  assert.equal(sent().vitals.cls, 3, 'a second apart');
  shift(4001, 4);
  assert.equal(sent().vitals.cls, 4, 'more than a second apart');
  for (const time of [5001, 6001, 7001, 8001, 9001]) shift(time, 1);
  assert.equal(sent().vitals.cls, 9, 'five seconds in all');
  shift(9002, 3);
  assert.equal(sent().vitals.cls, 9, 'more than five seconds in all');
  shift(9003, 7);
  assert.equal(sent().vitals.cls, 10);
  shift(9004, 100, true);
  assert.equal(sent().vitals.cls, 10, 'the user caused it');
});

test('a page is measured after it has loaded', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { events, sendMessage } = await measure();
  events.load?.();
  assert.equal(sendMessage.mock.callCount(), 0);
  mock.timers.tick(1);
  assert.equal(sendMessage.mock.callCount(), 1);
  mock.timers.reset();
});

test('a page does not notice that the extension is gone', async () => {
  const { events, state, sendMessage } = await measure();
  state.broken = true;
  assert.doesNotThrow(() => events.pagehide?.());
  state.broken = false;
  const rejected = mock.fn();
  process.on('unhandledRejection', rejected);
  events.pagehide?.();
  await settled();
  process.off('unhandledRejection', rejected);
  assert.deepEqual([sendMessage.mock.callCount(), rejected.mock.callCount()], [2, 0]);
});
