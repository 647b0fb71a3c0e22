import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { showNavigations } from '../../extension/popup/navigations.js';
import { makeDocument, resetClock } from './support/page.js';
import { NAVIGATION, REQUEST, TRACE } from './support/views.js';

/** @import { NavigationView } from '../../extension/pages/messages.js' */

beforeEach(resetClock);

let ids = 0;

/** @param {Partial<NavigationView>} [more] @returns {NavigationView} with a span id of its own: the list remembers those that it has shown */
const navigation = (more) => ({ ...NAVIGATION, spanId: `n${(ids += 1)}`, ...more });

function makeList() {
  const page = makeDocument('<ul id="list"></ul><button id="elsewhere"></button>');
  const list = page.find('list');
  const show = (/** @type {NavigationView[]} */ ...navigations) => showNavigations(list, navigations, 2000);
  /** @param {number} [index] @returns {any} */
  const details = (index = 0) => list.children[index].querySelector('details');
  const opened = () => [...list.children].map((item) => item.querySelector('details').open);
  return { ...page, list, show, details, opened };
}

test('a navigation shows its address, status and duration', () => {
  const { list, show } = makeList();
  const shown = navigation({ url: 'https://shop.test/a?b=c', requests: [REQUEST] });
  const text = (/** @type {string} */ selector) => list.querySelector(`summary ${selector}`).textContent;
  const isHidden = (/** @type {string} */ selector) => list.querySelector(selector).hasAttribute('hidden');
  show(shown);
  assert.deepEqual(['.name', '.status', '.time'].map(text), ['shop.test/a?b=c', '200', '200 ms']);
  assert.equal(list.querySelector('li').className, 'navigation');
  assert.equal(list.querySelector('li').getAttribute('data-kind'), 'ok');
  const address = `https://shop.test/a?b=c\nspan ${shown.spanId}\ntrace ${TRACE}`;
  assert.deepEqual([list.querySelector('summary').title, list.querySelector('.address').textContent], [address, address]);
  assert.equal(list.querySelector('.rows').getAttribute('aria-label'), 'Requests of shop.test/a?b=c');
  assert.deepEqual(['.fault', '.more'].map(isHidden), [true, true]);
  show({ ...shown, ended: null, status: null, error: 'net::ERR_FAILED', end: 'failed' });
  assert.deepEqual(['.name', '.status', '.time'].map(text), ['shop.test/a?b=c', '✕ failed', 'loading']);
  assert.equal(list.querySelector('li').getAttribute('data-kind'), 'error');
  assert.deepEqual([list.querySelector('.fault').textContent, isHidden('.fault')], ['net::ERR_FAILED', false]);
  show({ ...shown, status: null, error: 'net::ERR_ABORTED', end: 'cancelled' });
  assert.deepEqual(['.name', '.status', '.time'].map(text), ['shop.test/a?b=c', 'cancelled', '200 ms']);
  assert.deepEqual([list.querySelector('li').getAttribute('data-kind'), isHidden('.fault')], ['stopped', true]);
});

test('a long address is cut', () => {
  const { list, show } = makeList();
  show(navigation({ url: `https://shop.test/${'x'.repeat(40)}` }));
  assert.equal([...list.querySelector('.name').textContent].length, 32);
});

test('a request is a row with a bar and a text for screen readers', () => {
  const { list, show } = makeList();
  show(navigation({ requests: [{ ...REQUEST, started: 1050, ended: 1150, status: 500 }] }));
  const row = list.querySelector('.row');
  const text = (/** @type {string} */ selector) => row.querySelector(selector).textContent;
  assert.deepEqual(['.name', '.status', '.time'].map((part) => text(`.cells ${part}`)), ['/a?b=c', '✕ 500', '100 ms']);
  assert.equal(text('.spoken'), 'GET /a?b=c, failed: 500, 100 ms, starts at 50 ms');
  assert.equal(row.querySelector('.cells').getAttribute('aria-hidden'), 'true');
  assert.equal(row.getAttribute('data-kind'), 'error');
  const address = `GET https://shop.test/a?b=c\nspan ${REQUEST.spanId}`;
  assert.deepEqual([row.querySelector('summary').title, row.querySelector('details > .address').textContent], [address, address]);
  assert.deepEqual([row.querySelector('.track > .bar').style.left, row.querySelector('.bar').style.width], ['25%', '50%']);
});

test('rows stay while requests are added', () => {
  const { list, show } = makeList();
  const requests = ['a', 'b', 'c'].map((spanId) => ({ ...REQUEST, spanId }));
  const shown = navigation({ requests: requests.slice(0, 2) });
  show(shown);
  const [first] = list.querySelectorAll('.row');
  show({ ...shown, requests });
  assert.deepEqual([list.querySelectorAll('.row')[0] === first, list.querySelectorAll('.row').length], [true, 3]);
  show({ ...shown, requests: [{ ...REQUEST, spanId: 'z' }] });
  assert.notEqual(list.querySelector('.row'), first);
});

test('a navigation says how many requests it leaves out', () => {
  const { list, show } = makeList();
  const shown = navigation({ requests: [REQUEST], more: 1 });
  const more = () => (list.querySelector('.more').hasAttribute('hidden') ? null : list.querySelector('.more').textContent);
  show(shown);
  assert.equal(more(), '1 more request');
  show({ ...shown, more: 0 });
  assert.equal(more(), null);
  show({ ...shown, more: 0, requests: [] });
  assert.equal(more(), 'No requests.');
  show({ ...shown, more: 0, requests: [], ended: null });
  assert.equal(more(), null);
});

test('the latest navigation opens, and closes the one before', () => {
  const { show, opened } = makeList();
  const [first, second, older] = [navigation(), navigation(), navigation()];
  show(first);
  assert.deepEqual(opened(), [true]);
  show(second, first);
  assert.deepEqual(opened(), [true, false]);
  show(second, first, older);
  assert.deepEqual(opened(), [true, false, false], 'only a new one at the top opens');
});

test('a navigation that the user has closed stays closed', () => {
  const { show, details, opened } = makeList();
  const shown = navigation();
  show(shown);
  details().open = false;
  show({ ...shown, ended: null });
  assert.deepEqual(opened(), [false]);
});

test('a navigation that the user has opened stays open', () => {
  const { fire, show, details, opened } = makeList();
  const [first, second, third] = [navigation(), navigation(), navigation()];
  show(first);
  fire(details().querySelector('summary'), 'click');
  details().open = true;
  show(second, first);
  assert.deepEqual(opened(), [true, true]);
  show(third, second, first);
  assert.deepEqual(opened(), [true, false, true]);
});

test('a navigation with the focus stays open', () => {
  const { find, show, details, opened } = makeList();
  const [first, second, third] = [navigation(), navigation(), navigation()];
  show(first);
  details().querySelector('summary').tabIndex = 0;
  details().querySelector('summary').focus();
  show(second, first);
  assert.deepEqual(opened(), [true, true]);
  find('elsewhere').focus();
  show(third, second, first);
  assert.deepEqual(opened(), [true, false, false]);
});
