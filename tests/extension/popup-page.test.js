import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { settled } from './support/chrome.js';
import { openPage, resetClock } from './support/page.js';
import { MISSING, NAVIGATION, OTHER_TRACE, REQUEST, TRACE, VIEW } from './support/views.js';

/** @import { View } from '../../extension/pages/messages.js' */

const TAB = { id: 100, traced: true, traceId: TRACE, sampled: true, navigations: [] };
const LINK = 'https://t.test/{trace_id}/{end_ms}';

beforeEach(resetClock);

/** Opens the popup and shows it a view. @param {Partial<View>} [more] */
async function open(more) {
  const page = await openPage('popup');
  page.say({ ...VIEW, tab: TAB, ...more });
  const text = (/** @type {string} */ id) => page.find(id).textContent;
  const shown = (/** @type {string} */ id) => !page.find(id).hasAttribute('hidden');
  const list = (/** @type {string} */ id) => [...page.find(id).children].map((item) => item.textContent);
  return { ...page, text, shown, list, show: (/** @type {Partial<View>} */ next) => page.say({ ...VIEW, tab: TAB, ...next }) };
}

test('the popup watches the active tab or the one in its address', async () => {
  const page = await openPage('popup');
  assert.deepEqual(page.ports.map(({ name, sent }) => [name, sent]), [['popup', [{ type: 'watch', tabId: 100 }]]]);
  assert.deepEqual(page.activeTabs.mock.calls[0]?.arguments, [{ active: true, currentWindow: true }]);
  for (const [query, tabId] of /** @type {[string, number | null][]} */ ([['?tab=7', 7], ['?tab=71', 71], ['?tab=x7', null], ['?tab=7x', null], ['?tab=', null]])) {
    const { ports, activeTabs } = await openPage('popup', { query });
    assert.deepEqual(ports[0]?.sent, [{ type: 'watch', tabId }], query);
    assert.equal(activeTabs.mock.callCount(), 0);
  }
});

test('without a tab the popup is about the session', async () => {
  const { ports } = await openPage('popup', { active: [] });
  assert.deepEqual(ports[0]?.sent, [{ type: 'watch', tabId: null }]);
  const { text, shown } = await open({ tab: null });
  assert.equal(text('tab-title'), 'Session');
  assert.equal(text('trace-id'), TRACE);
  assert.match(text('tab-note'), /that of the session/);
  assert.ok(shown('tab-note'));
});

test('buttons wait for the first view', async () => {
  const page = await openPage('popup');
  const disabled = () => ['pause', 'new-trace', 'copy'].map((id) => page.find(id).disabled);
  page.find('pause').click();
  assert.deepEqual([disabled(), page.document.body.getAttribute('aria-busy')], [[true, true, true], 'true']);
  page.fire(page.find('pause'), 'click');
  assert.deepEqual(page.commands(), []);
  page.say(VIEW);
  assert.deepEqual([disabled(), page.document.body.hasAttribute('aria-busy')], [[false, false, false], false]);
});

test('the popup shows state, version, counts and the tab', async () => {
  const { find, text, shown, show } = await open();
  assert.deepEqual(['word', 'sentence', 'version', 'endpoint', 'counts', 'pause', 'tab-title', 'trace-id'].map(text), [
    'Tracing', 'Each request carries its own span id.', '0.1.0', 'http://localhost:4318/v1/traces', '1,234 exported', 'Pause', 'This tab', TRACE,
  ]);
  assert.equal(find('state').getAttribute('data-kind'), 'tracing');
  assert.deepEqual(['exporter', 'incognito', 'tab-note', 'problems-part', 'earlier-part'].map(shown), [true, false, false, false, false]);
  show({ paused: true, host: MISSING, offTheRecord: false, tab: { ...TAB, traceId: OTHER_TRACE, sampled: false } });
  assert.deepEqual(['word', 'pause', 'endpoint', 'counts', 'trace-id'].map(text), ['Paused', 'Resume', '', '', OTHER_TRACE]);
  assert.equal(find('state').getAttribute('data-kind'), 'paused');
  assert.deepEqual(['exporter', 'incognito', 'tab-note'].map(shown), [false, true, true]);
  assert.match(text('tab-note'), /^Not sampled/);
});

test('problems are listed, the latest first', async () => {
  const { text, shown, list, show } = await open({ problems: ['a'] });
  assert.deepEqual([list('problems'), shown('problems-part'), shown('earlier-part')], [['a'], true, false]);
  show({ problems: ['a', 'b'] });
  assert.deepEqual([list('problems'), list('earlier'), text('earlier-count')], [['b'], ['a'], '1 earlier problem']);
  show({ problems: ['a', 'b', 'c'] });
  assert.deepEqual([list('problems'), list('earlier'), text('earlier-count')], [['c'], ['b', 'a'], '2 earlier problems']);
  assert.ok(shown('earlier-part'));
});

test('hints say what to do and offer it', async () => {
  const page = await open({ host: MISSING });
  const [hint] = page.find('hints').children;
  const [main, small] = hint.querySelectorAll('p');
  assert.deepEqual([main.textContent, main.querySelector('code').textContent], ['Run navtrace install in a terminal, then reconnect.', 'navtrace install']);
  assert.deepEqual([small.textContent, small.hasAttribute('hidden'), main.className, small.className, hint.className], ['The browser says: not found', false, 'text', 'small', 'hint']);
  const button = hint.querySelector('button');
  assert.deepEqual([button.textContent, button.type], ['Reconnect', 'button']);
  button.click();
  assert.deepEqual(page.commands(), [{ type: 'reconnect' }]);
  assert.equal(page.text('announcement'), 'Connecting to the host');
  assert.equal(page.runtime.reload.mock.callCount(), 0);

  page.show({ host: { state: 'connected', version: '0.2.0', reason: null } });
  const [other] = page.find('hints').children;
  assert.ok(other.querySelector('.small').hasAttribute('hidden'));
  assert.equal(other.querySelector('button').textContent, 'Reload the extension');
  other.querySelector('button').click();
  assert.deepEqual([page.runtime.reload.mock.callCount(), page.commands().length], [1, 1]);

  page.show({ wantedMode: 'detailed', mode: 'lightweight' });
  assert.equal(page.find('hints').querySelector('button'), null);
});

test('a hint that stays keeps its button', async () => {
  const page = await open({ host: MISSING });
  const button = page.find('hints').querySelector('button');
  page.show({ host: { ...MISSING, reason: 'gone' } });
  assert.equal(page.find('hints').querySelector('button'), button);
  assert.equal(page.find('hints').querySelector('.small').textContent, 'The browser says: gone');
});

test('changes of the state and the trace are announced', async () => {
  const page = await open();
  assert.equal(page.text('announcement'), '');
  page.show({ mode: 'lightweight' });
  assert.equal(page.text('announcement'), '');
  page.show({ paused: true });
  assert.equal(page.text('announcement'), 'Paused. Requests get no trace headers.');
});

test('pause and resume are commands', async () => {
  const page = await open();
  page.say({ type: 'refused', command: 'pause', message: 'no' });
  assert.equal(page.text('refused'), 'no');
  page.find('pause').click();
  assert.equal(page.text('refused'), '');
  page.show({ paused: true });
  page.find('pause').click();
  assert.deepEqual(page.commands(), [{ type: 'pause', paused: true }, { type: 'pause', paused: false }]);
});

test('a new trace is announced when it has begun', async () => {
  const page = await open();
  page.say({ type: 'refused', command: 'new-trace', message: 'old' });
  page.find('new-trace').click();
  assert.deepEqual([page.commands(), page.text('refused')], [[{ type: 'new-trace' }], '']);
  page.show({});
  assert.equal(page.text('announcement'), '');
  page.show({ session: { ...VIEW.session, traceId: OTHER_TRACE } });
  assert.equal(page.text('announcement'), `New trace ${OTHER_TRACE}`);
  page.show({ session: VIEW.session });
  assert.equal(page.text('announcement'), `New trace ${OTHER_TRACE}`, 'once');
});

test('a refused new trace is not announced later', async () => {
  const page = await open();
  page.find('new-trace').click();
  page.say({ type: 'refused', command: 'new-trace', message: 'not now' });
  assert.equal(page.text('refused'), 'not now');
  page.show({ session: { ...VIEW.session, traceId: OTHER_TRACE } });
  assert.equal(page.text('announcement'), '');
});

test('a refused choice is shown in its form', async () => {
  const page = await open();
  page.find('new-trace').click();
  page.say({ type: 'refused', command: 'choose', message: 'bad' });
  assert.deepEqual([page.text('refused'), page.text('sampling-error')], ['', 'bad']);
  page.show({ session: { ...VIEW.session, traceId: OTHER_TRACE } });
  assert.equal(page.text('announcement'), `New trace ${OTHER_TRACE}`);
});

test('the form sends its choice over the connection', async () => {
  const page = await open();
  assert.equal(page.text('choice'), '100%, all addresses');
  page.type(page.find('sampling'), '0.1');
  assert.deepEqual(page.commands(), [{ type: 'choose', ratio: 0.1, targets: null, resources: null }]);
});

test('other messages change nothing', async () => {
  const page = await open();
  page.say({ type: 'stored', message: 'x' });
  assert.deepEqual([page.text('refused'), page.text('sampling-error')], ['', '']);
});

test('the trace id is copied, and the button says so for a while', async () => {
  const page = await open({ tab: { ...TAB, traceId: OTHER_TRACE } });
  const writeText = mock.method(page.window.navigator.clipboard, 'writeText', async () => {});
  page.find('copy').click();
  await settled();
  assert.deepEqual(writeText.mock.calls[0]?.arguments, [OTHER_TRACE]);
  assert.deepEqual([page.text('copy-word'), page.text('announcement')], ['Copied', 'Trace id copied']);
  mock.timers.tick(1999);
  assert.equal(page.text('copy-word'), 'Copied');
  mock.timers.tick(1);
  assert.equal(page.text('copy-word'), 'Copy');
});

test('a trace id that cannot be copied is selected', async () => {
  const page = await open();
  mock.method(page.window.navigator.clipboard, 'writeText', () => Promise.reject(new Error('denied')));
  page.find('copy').click();
  await settled();
  assert.equal(String(page.window.getSelection()), TRACE);
  assert.deepEqual([page.text('copy-word'), page.text('announcement')], ['Selected', 'The trace id could not be copied. It is selected instead.']);
  mock.timers.tick(2000);
  assert.equal(page.text('copy-word'), 'Copy');
});

test('the trace is linked, up to the time of the click', async () => {
  const page = await open({ link: LINK });
  const link = page.find('open');
  const address = (/** @type {number} */ end) => `https://t.test/${TRACE}/${end}`;
  const now = Date.now();
  assert.deepEqual(['href', 'title', 'aria-disabled'].map((name) => link.getAttribute(name)), [address(now), address(now), null]);
  assert.equal(page.shown('link-hint'), false);
  mock.timers.setTime(now + 5);
  page.fire(link, 'click');
  assert.equal(link.getAttribute('href'), address(now + 5));
  page.show({ link: null });
  assert.deepEqual(['href', 'title', 'aria-disabled'].map((name) => link.getAttribute(name)), [null, null, 'true']);
  assert.ok(page.shown('link-hint'));
});

test('the options open in their own tab', async () => {
  const page = await open();
  const links = page.document.querySelectorAll('.options');
  assert.equal(links.length, 2);
  for (const link of links) {
    const event = new page.window.Event('click', { cancelable: true });
    link.dispatchEvent(event);
    assert.ok(event.defaultPrevented);
  }
  assert.equal(page.runtime.openOptionsPage.mock.callCount(), 2);
});

for (const [what, navigation, request, grows] of /** @type {[string, object, object, boolean][]} */ ([
  ['a navigation', { ended: null }, {}, true],
  ['a request', {}, { ended: null }, true],
  ['nothing', {}, {}, false],
])) {
  test(`bars grow while something is loading: ${what}`, async () => {
    const now = Date.now();
    const page = await open();
    const loaded = { ...REQUEST, started: now, ended: now + 200 };
    const requests = [{ ...loaded, ended: now + 100 }, { ...loaded, ...request }];
    const width = () => page.find('navigations').querySelector('.bar').style.width;
    mock.timers.tick(200);
    page.show({ tab: { ...TAB, navigations: [{ ...NAVIGATION, spanId: what, started: now, ended: now + 200, requests, ...navigation }] } });
    const before = width();
    page.find('navigations').querySelector('.bar').style.width = '';
    mock.timers.tick(299);
    assert.equal(width(), '', 'not before the interval is over');
    mock.timers.tick(1);
    assert.deepEqual([before, width()], ['50%', !grows ? '' : 'ended' in request ? '20%' : '50%']);
  });
}

test('the popup says when there are no navigations', async () => {
  const page = await open();
  assert.ok(page.shown('no-navigations'));
  page.show({ tab: { ...TAB, navigations: [NAVIGATION] } });
  assert.equal(page.shown('no-navigations'), false);
  assert.equal(page.find('navigations').children.length, 1);
});
