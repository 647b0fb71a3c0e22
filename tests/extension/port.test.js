import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { askSettings, problem } from '../../extension/channel/messages.js';
import { Channel } from '../../extension/channel/port.js';
import { assertGrowsAfter } from './support/clock.js';
import { resetMocks } from './support/worker.js';

/** @typedef {{ sent: unknown[], receive: (message: object) => void, disconnect: (reason?: string) => void, isOpen: boolean }} Port */

const SETTINGS = { v: 1, type: 'settings', file: null, exists: false, settings: [] };
const EXPORTER = { v: 1, type: 'exporter', exported: 1, kept: 0, dropped: 0, problem: null };

/** @type {ReturnType<typeof resetMocks>} */
let warned;

beforeEach(() => {
  warned = resetMocks();
  mock.method(Math, 'random', () => 0);
});

const warnings = () => warned.mock.calls.map(({ arguments: [text] }) => text);

/** Opens a channel in a browser whose ports can all disconnect at any time. */
function begin() {
  /** @type {Port[]} */
  const ports = [];
  /** @type {string[]} */
  const names = [];
  const state = { broken: false };
  const runtime = {
    lastError: /** @type {object | undefined} */ (undefined),
    /** @param {string} name */
    connectNative(name) {
      if (state.broken) throw new Error('no such host');
      names.push(name);
      /** @type {((message: object) => void)[]} */
      const listeners = [];
      /** @type {(() => void)[]} */
      const ends = [];
      /** @type {unknown[]} */
      const sent = [];
      /** @type {Port} */
      const port = {
        sent,
        isOpen: true,
        receive: (message) => listeners.forEach((listener) => listener(message)),
        disconnect(reason) {
          port.isOpen = false;
          runtime.lastError = reason === undefined ? undefined : { message: reason };
          ends.forEach((end) => end());
          runtime.lastError = undefined;
        },
      };
      ports.push(port);
      return {
        onMessage: { addListener: (/** @type {any} */ listener) => void listeners.push(listener) },
        onDisconnect: { addListener: (/** @type {any} */ listener) => void ends.push(listener) },
        disconnect: () => void (port.isOpen = false),
        /** @param {unknown} message */
        postMessage(message) {
          if (!port.isOpen) throw new Error('Attempting to use a disconnected port object');
          sent.push(message);
        },
      };
    },
  };
  Object.assign(globalThis, { chrome: { runtime } });
  const handlers = { opened: mock.fn(), received: mock.fn(), closed: mock.fn() };
  const channel = new Channel(handlers);
  const count = (/** @type {keyof typeof handlers} */ name) => handlers[name].mock.callCount();
  const reasons = () => handlers.closed.mock.calls.map(({ arguments: [reason] }) => reason);
  const received = () => handlers.received.mock.calls.map(({ arguments: [message] }) => message);
  return { channel, ports, names, state, count, reasons, received };
}

/** Opens a channel. */
function open() {
  const parts = begin();
  parts.channel.open();
  return parts;
}

test('one port is opened to the host', () => {
  const { channel, names, count } = open();
  channel.open();
  assert.deepEqual([names, count('opened'), count('closed')], [['dev.navtrace.host'], 1, 0]);
});

test('a host that disconnects is connected again', () => {
  const { ports, count, reasons } = open();
  ports[0]?.disconnect('Native host has exited.');
  assertGrowsAfter(ports, 100);
  ports[1]?.disconnect();
  assertGrowsAfter(ports, 200);
  assert.deepEqual(reasons(), ['Native host has exited.', 'the host has disconnected']);
  assert.equal(count('opened'), 3);
  assert.deepEqual(warnings(), ['navtrace: no host: Native host has exited.', 'navtrace: no host: the host has disconnected']);
});

test('a port that cannot be opened is tried again', () => {
  const { channel, ports, state, count, reasons } = begin();
  state.broken = true;
  channel.open();
  assert.deepEqual([reasons(), count('opened')], [['Error: no such host'], 0]);
  mock.timers.tick(100);
  state.broken = false;
  assertGrowsAfter(ports, 200);
  assert.deepEqual([reasons().length, count('opened')], [2, 1]);
});

test('a host that has lived for five seconds is tried again soon', () => {
  const { ports } = open();
  for (const delay of [100, 200, 400]) {
    mock.timers.tick(4999);
    ports.at(-1)?.disconnect();
    assertGrowsAfter(ports, delay);
  }
  mock.timers.tick(5000);
  ports.at(-1)?.disconnect();
  assertGrowsAfter(ports, 100);
});

test('a connection that failed for long counts as a failure', () => {
  const { channel, ports, state } = begin();
  state.broken = true;
  mock.timers.tick(10_000);
  channel.open();
  mock.timers.tick(100);
  state.broken = false;
  assertGrowsAfter(ports, 200);
});

test('reopening takes the place of the attempt that is due', () => {
  const { channel, ports } = open();
  ports[0]?.disconnect();
  mock.timers.tick(50);
  channel.reopen();
  assert.equal(ports.length, 2);
  ports[1]?.disconnect();
  assertGrowsAfter(ports, 100);
});

test('reopening is no failure', () => {
  const { channel, ports } = open();
  ports[0]?.disconnect();
  assertGrowsAfter(ports, 100);
  channel.reopen();
  ports[2]?.disconnect();
  assertGrowsAfter(ports, 100);
});

test('reopening drops the port and tells so', () => {
  const { channel, ports, reasons, count } = open();
  channel.reopen();
  assert.deepEqual([ports.map(({ isOpen }) => isOpen), reasons(), count('opened')], [[false, true], [null], 2]);
  ports[1]?.disconnect('gone');
  channel.reopen();
  assert.deepEqual(reasons(), [null, 'gone'], 'no port is told of once');
});

test('events of an earlier port are not those of the port in use', () => {
  const { channel, ports, reasons, received } = open();
  channel.reopen();
  ports[0]?.receive(EXPORTER);
  ports[0]?.disconnect('old');
  assert.deepEqual([received(), reasons()], [[], [null]]);
  mock.timers.tick(60_000);
  assert.equal(ports.length, 2);
  channel.send(problem('x'));
  assert.deepEqual(ports[1]?.sent, [problem('x')]);
  ports[1]?.receive(EXPORTER);
  assert.deepEqual(received(), [EXPORTER]);
});

test('a message to a port that has closed is dropped', () => {
  const { channel, ports, count } = open();
  const [port] = ports;
  assert.ok(port);
  port.isOpen = false;
  channel.send(problem('x'));
  channel.send(problem('y'));
  assert.deepEqual(warnings(), ['navtrace: Error: Attempting to use a disconnected port object'], 'each text is logged once');
  assert.equal(count('closed'), 0, 'the end of the port follows');
  port.disconnect();
  channel.send(problem('z'));
  assert.equal(warnings().length, 2, 'no port is no failure');
  assertGrowsAfter(ports, 100);
});

test('a message that cannot be read is logged', () => {
  const { ports, received } = open();
  ports[0]?.receive({ v: 2, type: 'exporter' });
  assert.deepEqual([received(), warnings()], [[], ['navtrace: a message has version 2: this extension speaks 1']]);
});

test('requests are answered in their order', async () => {
  const { channel, ports, received } = open();
  const first = channel.request(askSettings(), 'settings');
  const second = channel.request(askSettings(), 'settings');
  assert.deepEqual(ports[0]?.sent, [askSettings(), askSettings()]);
  ports[0]?.receive(EXPORTER);
  ports[0]?.receive(SETTINGS);
  ports[0]?.receive({ ...SETTINGS, exists: true });
  ports[0]?.receive({ ...SETTINGS, file: 'unasked' });
  assert.deepEqual([await first, await second], [SETTINGS, { ...SETTINGS, exists: true }]);
  assert.deepEqual(received(), [EXPORTER, { ...SETTINGS, file: 'unasked' }]);
});

test('a request is refused', async () => {
  const { channel, ports } = open();
  const first = channel.request(askSettings(), 'settings');
  const second = channel.request(askSettings(), 'settings');
  ports[0]?.receive({ v: 1, type: 'error', code: 'refused', message: 'no home directory' });
  ports[0]?.receive({ v: 1, type: 'error', code: 'unknown-type', message: 'settings' });
  assert.deepEqual([await first, await second], ['no home directory', "the host is older than the extension and can't do this: settings"]);
  assert.deepEqual(warnings(), []);
});

test('an error about another message settles no request', async () => {
  const { channel, ports, received } = open();
  const request = channel.request(askSettings(), 'settings');
  const error = { v: 1, type: 'error', code: 'invalid', message: 'a batch', about: 'observed', number: 1 };
  ports[0]?.receive(error);
  ports[0]?.receive({ v: 1, type: 'error', code: 'refused', message: 'no home directory', about: 'settings' });
  assert.equal(await request, 'no home directory');
  assert.deepEqual([received(), warnings()], [[error], ['navtrace: the host refused a message (invalid): a batch']]);
});

test('an error that answers no request is logged', async () => {
  const { channel, ports } = open();
  ports[0]?.receive({ v: 1, type: 'error', code: 'refused', message: 'a' });
  const request = channel.request(askSettings(), 'settings');
  ports[0]?.receive({ v: 1, type: 'error', code: 'too-large', message: 'b' });
  assert.deepEqual(warnings(), ['navtrace: the host refused a message (refused): a', 'navtrace: the host refused a message (too-large): b']);
  ports[0]?.receive(SETTINGS);
  assert.deepEqual(await request, SETTINGS);
});

test('a host that goes leaves no request without an answer', async () => {
  const { channel, ports } = open();
  const lost = 'the host disconnected before it answered';
  const first = channel.request(askSettings(), 'settings');
  const second = channel.request(askSettings(), 'settings');
  ports[0]?.disconnect();
  assert.deepEqual([await first, await second], [lost, lost]);
  channel.reopen();
  const third = channel.request(askSettings(), 'settings');
  channel.reopen();
  assert.equal(await third, lost);
});
