/**
 * The last navigations of the tab, each with its requests as a waterfall.
 */

import { make, reconcile, setAttribute, setText } from './dom.js';
import { count } from './text.js';
import { cut, duration, kindOf, rowsOf, shortAddress, statusOf } from './waterfall.js';

/** @typedef {import('../control/view.d.ts').NavigationView} NavigationView */
/** @typedef {import('./waterfall.js').Row} Row */

/** How many rows there is room for: more scroll, which the keyboard has to be able to do. */
const ROOM = 10;

/** How many characters of a navigation's address there is room for. */
const NAME = 32;

const MARKS = { ok: '', error: '✕ ', cache: '', open: '' };

/** The navigations that have been shown: the latest of new ones is opened, once. @type {Set<string>} */
const seen = new Set();

/**
 * Shows navigations, the latest first. What is open stays open.
 *
 * @param {Element} list
 * @param {NavigationView[]} navigations
 * @param {number} now
 */
export function showNavigations(list, navigations, now) {
  reconcile(list, navigations, ({ spanId }) => spanId, createNavigation, (item, navigation, place) => {
    updateNavigation(item, navigation, now);
    if (seen.has(navigation.spanId)) return;
    seen.add(navigation.spanId);
    const details = item.querySelector('details');
    if (details === null || place > 0) return;
    // The one before it was opened by itself too, and makes room, unless somebody is in it.
    for (const other of list.querySelectorAll('details[data-by-itself]')) {
      if (!other.contains(document.activeElement)) other.removeAttribute('open');
    }
    details.open = true;
    details.setAttribute('data-by-itself', '');
  });
}

function createNavigation() {
  const item = make('li', 'navigation');
  const details = make('details');
  const summary = make('summary');
  const line = make('span', 'line');
  line.append(make('span', 'name'), make('span', 'status'), make('span', 'time'));
  summary.append(line);
  summary.addEventListener('click', () => details.removeAttribute('data-by-itself'));
  const rows = make('ul', 'rows');
  details.append(summary, make('p', 'fault'), rows, make('p', 'more'));
  item.append(details);
  return item;
}

/**
 * @param {Element} item
 * @param {NavigationView} navigation
 * @param {number} now
 */
function updateNavigation(item, navigation, now) {
  const { url, started, ended, status, error, requests, more } = navigation;
  const kind = kindOf(navigation);
  const summary = part(item, 'summary');
  setAttribute(item, 'data-kind', kind);
  setAttribute(summary, 'title', `${url}\nspan ${navigation.spanId}\ntrace ${navigation.traceId}`);
  const name = cut(shortAddress(url), NAME);
  setText(part(summary, '.name'), name);
  setText(part(summary, '.status'), `${MARKS[kind]}${statusOf({ status, error })}`);
  setText(part(summary, '.time'), ended === null ? 'loading' : duration(ended - started));
  const fault = part(item, '.fault');
  setText(fault, error ?? '');
  setAttribute(fault, 'hidden', error === null ? '' : null);
  const rows = part(item, '.rows');
  setAttribute(rows, 'aria-label', `Requests of ${name}`);
  setAttribute(rows, 'tabindex', requests.length > ROOM ? '0' : null);
  const entries = rowsOf(navigation, now).map((row, place) => ({ row, key: `${place} ${requests[place]?.spanId}` }));
  reconcile(rows, entries, ({ key }) => key, createRow, (element, { row }) => updateRow(element, row));
  const rest = part(item, '.more');
  const text = requests.length === 0 && ended !== null ? 'No requests were seen.' : more > 0 ? `${count(more, 'request')} more` : '';
  setText(rest, text);
  setAttribute(rest, 'hidden', text === '' ? '' : null);
}

function createRow() {
  const row = make('li', 'row');
  const seenPart = make('span', 'cells');
  seenPart.setAttribute('aria-hidden', 'true');
  const track = make('span', 'track');
  track.append(make('span', 'bar'));
  seenPart.append(make('span', 'name'), track, make('span', 'status'), make('span', 'time'));
  row.append(make('span', 'spoken'), seenPart);
  return row;
}

/**
 * @param {Element} element
 * @param {Row} row
 */
function updateRow(element, { name, title, status, time, kind, from, length, spoken }) {
  setAttribute(element, 'data-kind', kind);
  setAttribute(element, 'title', title);
  setText(part(element, '.spoken'), spoken);
  setText(part(element, '.name'), name);
  setText(part(element, '.status'), `${MARKS[kind]}${status}`);
  setText(part(element, '.time'), time);
  const bar = /** @type {HTMLElement} */ (part(element, '.bar'));
  bar.style.left = `${from}%`;
  bar.style.width = `${length}%`;
}

/**
 * @param {Element} element
 * @param {string} selector
 * @returns {Element}
 */
function part(element, selector) {
  const found = element.querySelector(selector);
  if (found === null) throw new Error(`no ${selector}`);
  return found;
}
