/**
 * The popup's list of navigations, each with its requests as a waterfall.
 */

import { counted, make, reconcile, setAttribute, setShown, setText } from '../ui/dom.js';
import { cut, duration, kindOf, rowsOf, shortAddress, statusOf } from './waterfall.js';

/** @import { NavigationView } from '../pages/messages.js' */
/** @import { Row } from './waterfall.js' */

/** Longest address of a navigation, in characters. */
const MAX_NAME_LENGTH = 32;

const MARKS = { ok: '', error: '✕ ', stopped: '', cache: '', open: '' };

/** Span ids of the navigations that have been shown. @type {Set<string>} */
const known = new Set();

/**
 * Shows navigations, latest first. A new latest navigation opens by itself, and whatever the user opened stays open.
 *
 * @param {Element} list
 * @param {NavigationView[]} navigations
 * @param {number} now
 */
export function showNavigations(list, navigations, now) {
  reconcile(list, navigations, ({ spanId }) => spanId, createNavigation, (item, navigation, index) => {
    updateNavigation(item, navigation, now);
    if (known.has(navigation.spanId)) return;
    known.add(navigation.spanId);
    const details = item.querySelector('details');
    if (details === null || index > 0) return;
    // Close what had opened by itself, unless it has the focus.
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
  details.append(summary, make('p', 'fault'), make('p', 'address'), make('ul', 'rows'), make('p', 'more'));
  item.append(details);
  return item;
}

/** @param {Element} item @param {NavigationView} navigation @param {number} now */
function updateNavigation(item, navigation, now) {
  const { spanId, traceId, url, started, ended, error, end, requests, more } = navigation;
  const kind = kindOf(navigation);
  const name = cut(shortAddress(url), MAX_NAME_LENGTH);
  setAttribute(item, 'data-kind', kind);
  const title = `${url}\nspan ${spanId}\ntrace ${traceId}`;
  setAttribute(part(item, 'summary'), 'title', title);
  setText(part(item, '.address'), title);
  setText(part(item, '.name'), name);
  setText(part(item, '.status'), `${MARKS[kind]}${statusOf(navigation)}`);
  setText(part(item, '.time'), ended === null ? 'loading' : duration(ended - started));
  showText(part(item, '.fault'), end === 'failed' ? (error ?? '') : '');
  const rows = part(item, '.rows');
  setAttribute(rows, 'aria-label', `Requests of ${name}`);
  const keyOf = (/** @type {Row} */ _row, /** @type {number} */ index) => `${index} ${requests[index]?.spanId}`;
  reconcile(rows, rowsOf(navigation, now), keyOf, createRow, updateRow);
  showText(part(item, '.more'), more > 0 ? counted(more, 'more request') : requests.length === 0 && ended !== null ? 'No requests.' : '');
}

/** A row opens to what its tooltip says, for those who have no pointer. */
function createRow() {
  const row = make('li', 'row');
  const details = make('details');
  const summary = make('summary');
  const cells = make('span', 'cells');
  cells.setAttribute('aria-hidden', 'true');
  const track = make('span', 'track');
  track.append(make('span', 'bar'));
  cells.append(make('span', 'name'), track, make('span', 'status'), make('span', 'time'));
  summary.append(make('span', 'spoken'), cells);
  details.append(summary, make('p', 'address'));
  row.append(details);
  return row;
}

/** @param {Element} element @param {Row} row */
function updateRow(element, { name, title, status, time, kind, from, length, spoken }) {
  setAttribute(element, 'data-kind', kind);
  setAttribute(part(element, 'summary'), 'title', title);
  setText(part(element, '.address'), title);
  setText(part(element, '.spoken'), spoken);
  setText(part(element, '.name'), name);
  setText(part(element, '.status'), `${MARKS[kind]}${status}`);
  setText(part(element, '.time'), time);
  const bar = /** @type {HTMLElement} */ (part(element, '.bar'));
  bar.style.left = `${from}%`;
  bar.style.width = `${length}%`;
}

/** Shows a text, or hides its element if it is empty. @param {Element} element @param {string} text */
function showText(element, text) {
  setText(element, text);
  setShown(element, text !== '');
}

/** @param {Element} element @param {string} selector @returns {Element} */
function part(element, selector) {
  const found = element.querySelector(selector);
  if (found === null) throw new Error(`no ${selector}`);
  return found;
}
