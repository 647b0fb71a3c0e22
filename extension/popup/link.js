/**
 * Links to traces: the template of `NAVTRACE_LINK`, filled in as the host does it (`src/view/link.rs`).
 */

/**
 * The trace that a link leads to. Times are milliseconds since the epoch.
 *
 * @typedef {{ traceId: string, spanId: string, start: number, end: number }} LinkedTrace
 */

const SECOND = 1000;

/**
 * Gives the address of a trace, or null where the template gives none that may be opened.
 *
 * @param {string | null} template
 * @param {LinkedTrace} trace
 * @returns {string | null}
 */
export function linkTo(template, { traceId, spanId, start, end }) {
  if (template === null) return null;
  // Times are whole, and include the trace: the end is rounded up.
  /** @type {Record<string, string>} */
  const values = {
    trace_id: traceId,
    span_id: spanId,
    start_s: String(Math.floor(start / SECOND)),
    end_s: String(Math.ceil(end / SECOND)),
    start_ms: String(Math.floor(start)),
    end_ms: String(Math.ceil(end)),
  };
  const address = template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  return isWeb(address) ? address : null;
}

/** @param {string} address */
const isWeb = (address) => /^https?:$/.test(URL.parse(address)?.protocol ?? '');

/**
 * Tells what the link of the popup leads to: the trace of the tab, or of the session where there is no tab.
 *
 * @param {import('../control/view.d.ts').View} view
 * @param {number} now
 * @returns {LinkedTrace}
 */
export function linkedTrace({ session, tab }, now) {
  const traceId = tab?.traceId ?? session.traceId;
  const isSession = traceId === session.traceId;
  // A trace of another scope begins with its first navigation, which is its root.
  const first = tab?.navigations.filter((navigation) => navigation.traceId === traceId).at(-1);
  return {
    traceId,
    spanId: isSession ? session.spanId : (first?.spanId ?? ''),
    start: isSession ? session.started : (first?.started ?? session.started),
    end: now,
  };
}
