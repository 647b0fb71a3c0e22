/**
 * Where the bars of a navigation's requests are, and what its rows say.
 */

/** @typedef {import('../control/view.d.ts').NavigationView} NavigationView */
/** @typedef {import('../control/view.d.ts').RequestView} RequestView */

/**
 * One row. Places are percent of the navigation's time axis.
 *
 * @typedef {object} Row
 * @property {string} name the path with the method, as short as it is clear
 * @property {string} title the whole of it
 * @property {string} status what came of it, in a word
 * @property {string} time how long it took, in a word
 * @property {'ok' | 'error' | 'cache' | 'open'} kind
 * @property {number} from
 * @property {number} length
 * @property {string} spoken the row in a sentence
 */

/** How many characters of a name there is room for, and how many of one that is spoken anybody would hear. */
const ROOM = { row: 19, spoken: 80 };

/** Widths below this can't be seen. In percent. */
const LEAST = 1.5;

/**
 * The span of time that a navigation's axis shows: until the last of its requests has ended.
 *
 * @param {NavigationView} navigation
 * @param {number} now
 * @returns {{ from: number, length: number }}
 */
export function axis({ started, ended, requests }, now) {
  const ends = requests.map((request) => request.ended ?? now);
  const last = Math.max(ended ?? (requests.length === 0 ? now : started), ...ends);
  return { from: started, length: Math.max(last - started, 1) };
}

/**
 * Gives the rows of a navigation, in its requests' order.
 *
 * @param {NavigationView} navigation
 * @param {number} now
 * @returns {Row[]}
 */
export function rowsOf(navigation, now) {
  const { from, length } = axis(navigation, now);
  const origin = URL.parse(navigation.url)?.origin ?? '';
  return navigation.requests.map((request) => {
    const start = clamp(((request.started - from) / length) * 100, 0, 100 - LEAST);
    const end = clamp((((request.ended ?? now) - from) / length) * 100, start + LEAST, 100);
    const kind = kindOf(request);
    const path = shortAddress(request.url, origin);
    const name = request.method === 'GET' ? path : `${request.method} ${path}`;
    const status = statusOf(request);
    const time = request.ended === null ? '…' : kind === 'cache' ? 'cache' : duration(request.ended - request.started);
    const spoken = [
      `${request.method} ${cut(path, ROOM.spoken)}`,
      outcome(request, kind),
      ...(request.ended === null ? [] : [kind === 'cache' ? 'from the cache' : time]),
      `starts at ${duration(Math.max(request.started - from, 0))}`,
    ];
    return {
      name: cut(name, ROOM.row),
      title: [`${request.method} ${request.url}`, request.error ?? '', `span ${request.spanId}`].filter(Boolean).join('\n'),
      status,
      time,
      kind,
      from: round(start),
      length: round(end - start),
      spoken: spoken.join(', '),
    };
  });
}

/**
 * Tells what kind of row a request or navigation has.
 *
 * @param {{ status: number | null, error: string | null, ended: number | null, fromCache?: boolean }} exchange
 * @returns {Row['kind']}
 */
export function kindOf({ status, error, ended, fromCache }) {
  if (error !== null || (status !== null && status >= 400)) return 'error';
  if (ended === null) return 'open';
  return fromCache === true ? 'cache' : 'ok';
}

/**
 * @param {RequestView} request
 * @param {Row['kind']} kind
 */
function outcome({ status, error }, kind) {
  if (kind === 'error') return `failed: ${error ?? status}`;
  if (kind === 'open') return 'not answered yet';
  return status === null ? 'no status' : `status ${status}`;
}

/**
 * @param {{ status: number | null, error: string | null }} exchange
 * @returns {string}
 */
export function statusOf({ status, error }) {
  if (status !== null && (error === null || status >= 400)) return String(status);
  return error === null ? '' : 'failed';
}

/**
 * An address without what every row of the navigation has: path and query of the page's own origin, else with the host.
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
 * Takes out the middle of a text that is too long: addresses differ at their ends.
 *
 * @param {string} text
 * @param {number} most how many characters there may be
 * @returns {string}
 */
export function cut(text, most) {
  const characters = [...text];
  if (characters.length <= most) return text;
  const end = Math.ceil((most - 1) * 0.6);
  return `${characters.slice(0, most - 1 - end).join('')}…${characters.slice(-end).join('')}`;
}

/**
 * A duration of milliseconds, to three digits at most.
 *
 * @param {number} ms
 * @returns {string}
 */
export function duration(ms) {
  if (ms < 9.95) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 59.95) return `${Number(s.toFixed(s < 9.995 ? 2 : 1))} s`;
  return `${Math.round(s / 60)} min`;
}

/** @param {number} value @param {number} least @param {number} most */
const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/** @param {number} percent */
const round = (percent) => Math.round(percent * 100) / 100;
