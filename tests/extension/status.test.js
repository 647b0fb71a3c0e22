import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { Status } from '../../extension/pages/status.js';

const STATE = {
  mode: 'detailed', wantedMode: 'auto', connected: true, reason: null, exporter: null, version: '0.1.0', configured: null, offTheRecord: true, problems: [],
};
const KEPT = { paused: false, chosen: { ratio: null, targets: null, resources: null }, started: 1 };

beforeEach(() => void mock.reset());

/** Shows a state on the button. */
function begin() {
  const shown = { text: '', title: '' };
  const setBadgeText = mock.fn(async (/** @type {any} */ { text }) => void (shown.text = text));
  const setTitle = mock.fn(async (/** @type {any} */ { title }) => void (shown.title = title));
  Object.assign(globalThis, { chrome: { action: { setBadgeText, setTitle } } });
  const host = { state: /** @type {any} */ (STATE) };
  const session = { kept: KEPT };
  const status = new Status(/** @type {any} */ (session), host);
  const changed = mock.fn();
  status.watch(changed);
  const show = (/** @type {object} */ state, paused = false) => {
    host.state = { ...STATE, ...state };
    session.kept = { ...KEPT, paused };
    status.show();
    return shown;
  };
  return { status, show, changed, calls: () => [setBadgeText.mock.callCount(), setTitle.mock.callCount()] };
}

for (const [what, state, paused, text, title] of /** @type {[string, object, boolean, string, string][]} */ ([
  ['detailed mode', {}, false, '', 'navtrace: detailed mode'],
  ['lightweight mode', { mode: 'lightweight' }, false, '', 'navtrace: lightweight mode'],
  ['detailed mode that is allowed', { wantedMode: 'detailed' }, false, '', 'navtrace: detailed mode'],
  ['detailed mode that is not allowed', { wantedMode: 'detailed', mode: 'lightweight' }, false, '!', 'navtrace: lightweight mode; this browser does not allow detailed mode'],
  ['no host', { connected: false, reason: 'gone' }, false, '!', 'navtrace: detailed mode; no host, nothing is exported'],
  ['no host before a mode', { connected: false, reason: 'gone', mode: null }, false, '!', 'navtrace: starting; no host, nothing is exported'],
  ['a collector that is down', { exporter: { problem: 'down' } }, false, '!', 'navtrace: detailed mode; down'],
  ['a collector that is up', { exporter: { problem: null } }, false, '', 'navtrace: detailed mode'],
  ['a host that is gone with its problem', { connected: false, exporter: { problem: 'down' } }, false, '!', 'navtrace: detailed mode; no host, nothing is exported'],
  ['a pause', {}, true, 'off', 'navtrace: paused, nothing is traced'],
  ['a pause without a host', { connected: false }, true, 'off', 'navtrace: paused, nothing is traced; no host, nothing is exported'],
])) {
  test(`the button shows ${what}`, () => assert.deepEqual(begin().show(state, paused), { text, title }));
}

test('the button is left alone while the browser starts', () => {
  const { show, changed, calls } = begin();
  assert.deepEqual(show({ mode: null, connected: false }), { text: '', title: '' });
  assert.deepEqual([calls(), changed.mock.callCount()], [[0, 0], 1]);
});

test('the button is updated only where it differs', () => {
  const { show, changed, calls } = begin();
  show({});
  show({});
  assert.deepEqual([calls(), changed.mock.callCount()], [[0, 1], 2]);
  show({}, true);
  assert.deepEqual(calls(), [1, 2]);
  show({ exporter: { problem: 'down' } });
  show({ exporter: { problem: 'still down' } });
  assert.deepEqual(calls(), [2, 4]);
});

test('the state is that of the host and of the session', () => {
  const { status } = begin();
  assert.deepEqual(status.current, { ...STATE, ...KEPT });
});
