/**
 * Derives the popup's texts, and its link to a trace, from the worker's view. Pure.
 */

import { counted, formatNumber } from '../ui/dom.js';

/** @import { View } from '../pages/messages.js' */

/**
 * The state at a glance. `kind` selects the colour.
 *
 * @typedef {{ kind: 'tracing' | 'paused' | 'starting' | 'degraded', word: string, sentence: string }} State
 */

/**
 * A problem, and how to solve it. `small` adds a detail.
 *
 * @typedef {{ text: string, small: string, action: 'reconnect' | 'reload' | null }} Hint
 */

/** @typedef {{ traceId: string, spanId: string, start: number, end: number }} LinkedTrace times in milliseconds since the epoch */

const MODES = {
  detailed: 'Each request carries its own span id.',
  lightweight: 'Requests carry the span id of their navigation.',
};

/** @param {View | null} view null until the worker has answered @returns {State} */
export function stateOf(view) {
  if (view === null) return { kind: 'starting', word: 'Starting', sentence: 'The extension is starting.' };
  if (view.paused) return { kind: 'paused', word: 'Paused', sentence: 'Requests get no trace headers.' };
  if (view.host.state === 'missing') {
    return { kind: 'degraded', word: 'No host', sentence: 'Requests get trace headers, but nothing is exported.' };
  }
  if (view.mode === null) return { kind: 'starting', word: 'Starting', sentence: 'Requests do not get trace headers yet.' };
  if (view.host.state === 'starting') {
    return { kind: 'starting', word: 'Starting', sentence: 'Requests get trace headers. Waiting for the host to connect.' };
  }
  if (view.exporter?.problem) return { kind: 'degraded', word: 'Not exported', sentence: MODES[view.mode] };
  return { kind: 'tracing', word: 'Tracing', sentence: MODES[view.mode] };
}

/** Returns what is wrong, with what to do about it. @param {View} view @returns {Hint[]} */
export function hintsOf({ host, version, wantedMode, mode, exporter, paused }) {
  /** @type {Hint[]} */
  const hints = [];
  /** @param {string} text @param {Partial<Hint>} [more] */
  const add = (text, more) => hints.push({ text, small: '', action: null, ...more });
  if (host.state === 'missing') {
    add(`${paused ? 'The host is not connected, so nothing is exported. ' : ''}Run \`navtrace install\` in a terminal, then reconnect.`, {
      small: host.reason === null ? '' : `The browser says: ${host.reason}`,
      action: 'reconnect',
    });
  }
  if (host.state === 'connected' && host.version !== null && host.version !== version) {
    add(`The host is version ${host.version}, but the extension is version ${version}: reload the extension.`, { action: 'reload' });
  }
  if (wantedMode === 'detailed' && mode === 'lightweight') {
    add('Detailed mode is configured, but this browser does not allow it. Start the browser with `navtrace launch`.');
  }
  if (exporter?.problem) {
    add(`Spans can't be sent.${exporter.kept > 0 ? ' They are kept and sent later.' : ''}`, { small: exporter.problem });
  }
  return hints;
}

/**
 * Returns where spans are sent, and how many were.
 *
 * @param {View} view
 * @returns {{ endpoint: string, counts: string } | null} null without a host
 */
export function exporterOf({ exporter, host }) {
  if (host.state === 'missing') return null;
  if (exporter === null) return { endpoint: '(not known yet)', counts: '' };
  const { endpoint, exported, kept, dropped } = exporter;
  if (endpoint === null) return { endpoint: 'nowhere, because no exporter is configured', counts: '' };
  const counts = [`${formatNumber(exported)} exported`];
  if (kept > 0) counts.push(`${formatNumber(kept)} kept`);
  if (dropped > 0) counts.push(`${formatNumber(dropped)} dropped`);
  return { endpoint, counts: counts.join(', ') };
}

/** Returns a sentence if the tab is not traced as usual, else an empty text. @param {View} view @returns {string} */
export function tabNote({ tab, paused, mode }) {
  if (tab === null) return 'Nothing is known about this tab. The trace id is that of the session.';
  if (!tab.traced && !paused && mode !== null) {
    return 'Requests of this tab get no trace headers: its address is not a target, or a script has turned tracing off.';
  }
  return tab.sampled ? '' : 'Not sampled: nothing is exported, and the headers tell other services so.';
}

/** Formats a ratio as a percentage. @param {number} ratio */
export const percent = (ratio) => `${toPercent(ratio)}%`;

/** Converts a ratio to a percentage, without the rounding errors of floating point. @param {number} ratio */
export const toPercent = (ratio) => Number((ratio * 100).toPrecision(6));

/**
 * Parses a percentage that the user typed.
 *
 * @param {string} text
 * @returns {number | null} the ratio, or null unless the text is a number from 0 to 100
 */
export function readPercent(text) {
  const trimmed = text.trim().replace(/\s*%$/, '');
  if (!/^\d+(\.\d*)?$|^\.\d+$/.test(trimmed)) return null;
  const value = Number(trimmed);
  return value <= 100 ? value / 100 : null;
}

/** Parses match patterns, one per line. @param {string} text */
export const readPatterns = (text) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

/** Returns the choices in force for this session in a few words. @param {View} view @returns {string} */
export function choiceOf({ chosen, configured }) {
  const targets = chosen.targets ?? configured.targets;
  const resources = (chosen.resources ?? configured.resources).join(', ');
  const words = [percent(chosen.ratio ?? configured.ratio), targets.length === 0 ? 'all addresses' : counted(targets.length, 'target')];
  return [...words, ...(resources === 'all' ? [] : [resources === 'calls' ? 'calls only' : resources])].join(', ');
}

/**
 * Splits problems, oldest first, into the latest one and the earlier ones, latest first.
 *
 * @param {string[]} problems
 * @returns {{ latest: string[], earlier: string[] }}
 */
export const problemsOf = (problems) => ({ latest: problems.slice(-1), earlier: problems.slice(0, -1).reverse() });

/**
 * Returns the address of a trace: the template of `NAVTRACE_LINK`, filled in as in `src/view/link.rs`.
 *
 * @param {string | null} template
 * @param {LinkedTrace} trace
 * @returns {string | null} null without a template, and for an address that is not HTTP(S)
 */
export function linkTo(template, { traceId, spanId, start, end }) {
  // Times are rounded outwards, so that they include the trace.
  /** @type {Record<string, string>} */
  const values = {
    trace_id: traceId,
    span_id: spanId,
    start_s: String(Math.floor(start / 1000)),
    end_s: String(Math.ceil(end / 1000)),
    start_ms: String(Math.floor(start)),
    end_ms: String(Math.ceil(end)),
  };
  const address = template?.replace(/\{(\w+)\}/g, (placeholder, name) => values[name] ?? placeholder) ?? '';
  return /^https?:$/.test(URL.parse(address)?.protocol ?? '') ? address : null;
}

/**
 * Returns the trace that the popup links to: the tab's, or the session's if there is no tab.
 *
 * @param {View} view
 * @param {number} now
 * @returns {LinkedTrace}
 */
export function linkedTrace({ session, tab }, now) {
  const traceId = tab?.traceId ?? session.traceId;
  if (traceId === session.traceId) return { traceId, spanId: session.spanId, start: session.started, end: now };
  // The root of a tab's or navigation's own trace is its first navigation.
  const first = tab?.navigations.filter((navigation) => navigation.traceId === traceId).at(-1);
  return { traceId, spanId: first?.spanId ?? '', start: first?.started ?? session.started, end: now };
}
