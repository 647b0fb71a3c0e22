/**
 * What the popup says, as sentences: pure functions of the view.
 */

/** @typedef {import('../control/view.d.ts').View} View */

/**
 * The state at a glance. A word tells the kinds apart, colour comes on top.
 *
 * @typedef {{ kind: 'tracing' | 'paused' | 'starting' | 'degraded', word: string, sentence: string }} State
 */

/**
 * What else the user should know, and what there is to do.
 *
 * @typedef {{ text: string, small: string, action: 'reconnect' | 'reload' | null }} Note
 */

const MODES = {
  detailed: 'Each request carries its own span.',
  lightweight: 'Requests carry their navigation’s span.',
};

/** How many problems are told in full before they are folded. */
const FEW = 1;

/**
 * @param {View | null} view null until the worker has answered
 * @returns {State}
 */
export function stateOf(view) {
  if (view === null) return { kind: 'starting', word: 'Starting', sentence: 'The extension is starting.' };
  if (view.paused) return { kind: 'paused', word: 'Paused', sentence: 'Requests carry no headers.' };
  if (view.host.state === 'missing') {
    return { kind: 'degraded', word: 'No host', sentence: 'Requests carry a trace of their own, nothing is exported.' };
  }
  if (view.mode === null) return { kind: 'starting', word: 'Starting', sentence: 'Headers are not in place yet.' };
  if (view.host.state === 'starting') {
    return { kind: 'starting', word: 'Starting', sentence: 'Headers are in place, the host is not connected yet.' };
  }
  const problem = view.exporter?.problem ?? null;
  if (problem !== null) return { kind: 'degraded', word: 'Not exported', sentence: MODES[view.mode] };
  return { kind: 'tracing', word: 'Tracing', sentence: MODES[view.mode] };
}

/**
 * What is not as it should be, with what to do about it.
 *
 * @param {View} view
 * @returns {Note[]}
 */
export function notesOf({ host, version, wantedMode, mode, exporter, paused }) {
  /** @type {Note[]} */
  const notes = [];
  if (host.state === 'missing') {
    notes.push({
      text: `${paused ? 'There is no host, so nothing is exported. ' : ''}Run \`navtrace install\` in a terminal, then reload.`,
      small: host.reason === null ? '' : `The browser says: ${host.reason}`,
      action: 'reconnect',
    });
  }
  if (host.state === 'connected' && host.version !== null && host.version !== version) {
    notes.push({ text: `The host is ${host.version}, this extension ${version}: reload the extension.`, small: '', action: 'reload' });
  }
  if (wantedMode === 'detailed' && mode === 'lightweight') {
    notes.push({
      text: 'Detailed mode is wanted, but this browser does not grant it. Start the browser with `navtrace launch`.',
      small: '',
      action: null,
    });
  }
  if (exporter?.problem) {
    const later = exporter.kept > 0 ? ` What is kept is sent later.` : '';
    notes.push({ text: `Spans can't be sent.${later}`, small: exporter.problem, action: null });
  }
  return notes;
}

/**
 * Where spans go, and how many have gone. Null where there is nothing to say.
 *
 * @param {View} view
 * @returns {{ endpoint: string, counts: string } | null}
 */
export function exporterOf({ exporter, host }) {
  if (host.state === 'missing') return null;
  if (exporter === null) return { endpoint: 'not known yet', counts: '' };
  const { endpoint, exported, kept, dropped } = exporter;
  if (endpoint === null) return { endpoint: 'nowhere: no exporter is set', counts: '' };
  const counts = [`${number(exported)} exported`];
  if (kept > 0) counts.push(`${number(kept)} kept`);
  if (dropped > 0) counts.push(`${number(dropped)} dropped`);
  return { endpoint, counts: counts.join(', ') };
}

/**
 * What the tab is to navtrace.
 *
 * @param {View} view
 * @returns {string} a sentence, empty where all is as expected
 */
export function tabNote({ tab, paused, mode }) {
  if (tab === null) return 'Nothing is known of this tab: this is the session’s trace.';
  if (!tab.traced && !paused && mode !== null) return 'Its requests carry no headers: its address is not a target, or a script has turned navtrace off.';
  return tab.sampled ? '' : 'Not sampled: headers say so, and nothing of it is exported.';
}

/**
 * A share as percent.
 *
 * @param {number} ratio
 * @returns {string}
 */
export const percent = (ratio) => `${Number((ratio * 100).toPrecision(6))} %`;

/**
 * Reads a share that was typed as percent.
 *
 * @param {string} text
 * @returns {number | null} null unless it is from 0 to 100
 */
export function readPercent(text) {
  const trimmed = text.trim().replace(/\s*%$/, '');
  if (!/^\d+(\.\d*)?$|^\.\d+$/.test(trimmed)) return null;
  const value = Number(trimmed);
  return value <= 100 ? value / 100 : null;
}

/**
 * Reads match patterns, one on each line.
 *
 * @param {string} text
 * @returns {string[]}
 */
export const readPatterns = (text) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

/**
 * What is chosen for this session, in a few words.
 *
 * @param {View} view
 * @returns {string}
 */
export function choiceOf({ chosen, configured }) {
  const ratio = percent(chosen.ratio ?? configured.ratio);
  const targets = chosen.targets ?? configured.targets;
  return `${ratio}, ${targets.length === 0 ? 'all addresses' : count(targets.length, 'target')}`;
}

/**
 * The latest problems, and how many came before them.
 *
 * @param {string[]} problems
 * @returns {{ shown: string[], folded: string[] }}
 */
export const problemsOf = (problems) => ({ shown: problems.slice(-FEW), folded: problems.slice(0, -FEW).reverse() });

/**
 * @param {number} amount
 * @param {string} what in the singular
 */
export const count = (amount, what) => `${number(amount)} ${what}${amount === 1 ? '' : 's'}`;

/** @param {number} amount */
const number = (amount) => amount.toLocaleString('en-US');
