/**
 * Computes the rows of a navigation's waterfall. Pure.
 */

/** @import { NavigationView, RequestView } from '../pages/messages.js' */

/**
 * The row of one request. `from` and `length` are percentages of the time axis.
 *
 * @typedef {object} Row
 * @property {string} name method and path, shortened
 * @property {string} title method and address in full
 * @property {string} status
 * @property {string} time the duration
 * @property {'ok' | 'error' | 'stopped' | 'cache' | 'open'} kind
 * @property {number} from
 * @property {number} length
 * @property {string} spoken the row as text for screen readers
 */

/** Longest path in a row, and in its text for screen readers, in characters. */
const MAX_NAME_LENGTH = 19;
const MAX_SPOKEN_LENGTH = 80;

/** Width of the shortest bar, in percent. */
const MIN_LENGTH = 1.5;

/**
 * Returns the time axis of a navigation, which ends with the last of its requests.
 *
 * @param {NavigationView} navigation
 * @param {number} now
 * @returns {{ from: number, length: number }} in milliseconds
 */
export function axis({ started, ended, requests }, now) {
  const ends = requests.map((request) => request.ended ?? now);
  const last = Math.max(ended ?? (requests.length === 0 ? now : started), ...ends);
  return { from: started, length: Math.max(last - started, 1) };
}

/**
 * Returns the rows of a navigation, in the order of its requests.
 *
 * @param {NavigationView} navigation
 * @param {number} now
 * @returns {Row[]}
 */
export function rowsOf(navigation, now) {
  const { from, length } = axis(navigation, now);
  const origin = URL.parse(navigation.url)?.origin ?? '';
  return navigation.requests.map((request) => {
    const { method, url, spanId, started, ended, error } = request;
    const start = clamp(((started - from) / length) * 100, 0, 100 - MIN_LENGTH);
    const end = clamp((((ended ?? now) - from) / length) * 100, start + MIN_LENGTH, 100);
    const kind = kindOf(request);
    const path = shortAddress(url, origin);
    const time = ended === null ? '…' : kind === 'cache' ? 'cache' : duration(ended - started);
    const spoken = [
      `${method} ${cut(path, MAX_SPOKEN_LENGTH)}`,
      outcome(request, kind),
      ...(ended === null ? [] : [kind === 'cache' ? 'from the cache' : time]),
      `starts at ${duration(Math.max(started - from, 0))}`,
    ];
    return {
      name: cut(method === 'GET' ? path : `${method} ${path}`, MAX_NAME_LENGTH),
      title: [`${method} ${url}`, error ?? '', `span ${spanId}`].filter(Boolean).join('\n'),
      status: statusOf(request),
      time,
      kind,
      from: round(start),
      length: round(end - start),
      spoken: spoken.join(', '),
    };
  });
}

/**
 * Returns the kind of a request or navigation. One that was cancelled or blocked is no failure.
 *
 * @param {{ status: number | null, end: RequestView['end'], ended: number | null, fromCache?: boolean }} item
 * @returns {Row['kind']}
 */
export function kindOf({ status, end, ended, fromCache }) {
  if (end === 'failed' || (status !== null && status >= 400)) return 'error';
  if (end !== null) return 'stopped';
  if (ended === null) return 'open';
  return fromCache === true ? 'cache' : 'ok';
}

/** @param {RequestView} request @param {Row['kind']} kind */
function outcome({ status, error, end }, kind) {
  if (kind === 'error') return `failed: ${error ?? status}`;
  if (kind === 'stopped') return String(end);
  if (kind === 'open') return 'no answer yet';
  return status === null ? 'no status' : `status ${status}`;
}

/**
 * Returns the status of a request or navigation as short text.
 *
 * @param {{ status: number | null, end: RequestView['end'] }} item
 * @returns {string}
 */
export function statusOf({ status, end }) {
  if (status !== null && (end === null || status >= 400)) return String(status);
  return end ?? '';
}

/**
 * Shortens an address to its path and query, with the host unless that is the given origin's.
 *
 * @param {string} address
 * @param {string} [origin]
 * @returns {string}
 */
export function shortAddress(address, origin = '') {
  const url = URL.parse(address);
  if (url === null || url.host === '') return address;
  const path = `${url.pathname}${url.search}`;
  return url.origin === origin ? path : `${url.host}${path}`;
}

/**
 * Shortens a text in the middle, because addresses differ at their ends.
 *
 * @param {string} text
 * @param {number} most characters
 * @returns {string}
 */
export function cut(text, most) {
  const characters = [...text];
  if (characters.length <= most) return text;
  const end = Math.ceil((most - 1) * 0.6);
  return `${characters.slice(0, most - 1 - end).join('')}…${characters.slice(-end).join('')}`;
}

/** Formats a duration with up to three digits. @param {number} ms @returns {string} */
export function duration(ms) {
  if (ms < 9.95) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 59.95) return `${Number(s.toFixed(s < 9.995 ? 2 : 1))} s`;
  return `${Math.round(s / 60)} min`;
}

/** @param {number} value @param {number} least @param {number} most */
const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/** @param {number} percentage */
const round = (percentage) => Math.round(percentage * 100) / 100;
