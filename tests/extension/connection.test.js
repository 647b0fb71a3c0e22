import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { connect } from '../../extension/ui/connection.js';
import { assertGrowsAfter } from './support/clock.js';
import { fakeRuntime, resetClock } from './support/page.js';

/** @import { Command } from '../../extension/pages/messages.js' */

/** @type {Command} */
const GREETING = { type: 'watch', tabId: 7 };

beforeEach(resetClock);

function begin() {
  const browser = fakeRuntime();
  /** @type {unknown[]} */
  const received = [];
  const send = connect('popup', GREETING, (message) => void received.push(message));
  return { ...browser, received, send };
}

/** @type {Command} */
const PAUSE = { type: 'pause', paused: true };
/** @type {Command} */
const RESUME = { type: 'pause', paused: false };
/** @type {Command} */
const NEW_TRACE = { type: 'new-trace' };

test('each connection begins with the greeting', () => {
  const page = begin();
  page.ports[0]?.disconnect();
  assertGrowsAfter(page.ports, 200);
  assert.deepEqual(page.ports.map(({ name, sent }) => [name, sent]), [['popup', [GREETING]], ['popup', [GREETING]]]);
});

test('commands that no worker has executed are sent to the next one', () => {
  const page = begin();
  for (const command of [PAUSE, NEW_TRACE, RESUME]) page.send(command);
  page.ports[0]?.say({ type: 'executed', command: 'watch' });
  page.ports[0]?.say({ type: 'executed', command: 'pause' });
  page.ports[0]?.disconnect();
  page.send({ type: 'settings' });
  mock.timers.tick(200);
  assert.deepEqual(page.ports[1]?.sent, [GREETING, NEW_TRACE, RESUME, { type: 'settings' }]);
  const refusal = { type: 'refused', command: 'new-trace', message: 'no' };
  page.ports[1]?.say(refusal);
  for (const command of ['pause', 'settings']) page.ports[1]?.say({ type: 'executed', command });
  page.ports[1]?.disconnect();
  mock.timers.tick(200);
  assert.deepEqual(page.ports[2]?.sent, [GREETING]);
  assert.deepEqual(page.received, [refusal], 'the page need not know what was executed');
});

test('messages of each connection are received', () => {
  const page = begin();
  page.ports[0]?.say({ type: 'stored' });
  page.ports[0]?.disconnect();
  mock.timers.tick(200);
  page.ports[1]?.say({ type: 'settings' });
  assert.deepEqual(page.received, [{ type: 'stored' }, { type: 'settings' }]);
});

test('the delay doubles up to three seconds until a message comes', () => {
  const page = begin();
  for (const delay of [200, 400, 800, 1600, 3000, 3000]) {
    page.ports.at(-1)?.disconnect();
    assertGrowsAfter(page.ports, delay);
  }
  page.ports.at(-1)?.say({ type: 'stored' });
  page.ports.at(-1)?.disconnect();
  assertGrowsAfter(page.ports, 200);
});

test('a refused connection is tried again', () => {
  const browser = fakeRuntime();
  browser.state.broken = true;
  const send = connect('options', GREETING, () => {});
  assert.doesNotThrow(() => send({ type: 'reconnect' }));
  browser.state.broken = false;
  mock.timers.tick(200);
  assert.deepEqual(browser.ports.map(({ sent }) => sent), [[GREETING, { type: 'reconnect' }]]);
});
