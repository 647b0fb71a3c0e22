/**
 * The popup: shows the worker's view and sends the user's commands. Updates elements in place, so that focus, open parts and typed text stay.
 */

import { connect } from '../ui/connection.js';
import { announce, byId, counted, make, reconcile, setAttribute, setProse, setShown, setText } from '../ui/dom.js';
import { ChoicesForm } from './choices.js';
import { showNavigations } from './navigations.js';
import { exporterOf, hintsOf, linkTo, linkedTrace, problemsOf, stateOf, tabNote } from './text.js';

/** @import { View } from '../pages/messages.js' */
/** @import { Hint } from './text.js' */

/** How long a button shows its result, in milliseconds. */
const FEEDBACK_TIME = 2000;

/** Interval between redraws while something is loading and its bars grow, in milliseconds. */
const REDRAW_INTERVAL = 500;

/** @param {string} id */
const element = (id) => byId(id, HTMLElement);

const copy = byId('copy', HTMLButtonElement);
const open = byId('open', HTMLAnchorElement);
const pause = byId('pause', HTMLButtonElement);
const newTrace = byId('new-trace', HTMLButtonElement);

/** @type {View | null} */
let view = null;
/** The trace that was current when the user asked for a new one. @type {string | null} */
let endingTrace = null;

/** Returns the tab that the popup is about: the one named in its address, or the active tab. */
async function watchedTab() {
  const named = new URLSearchParams(location.search).get('tab');
  if (named !== null) return /^\d+$/.test(named) ? Number(named) : null;
  const [tab] = await chrome.tabs.query({ active: true, currentWindow: true });
  return tab?.id ?? null;
}

/** Makes screen readers say something. */
const say = (/** @type {string} */ text) => announce(element('announcement'), text);

function show(/** @type {View} */ latest) {
  const before = view === null ? null : stateOf(view).kind;
  view = latest;
  document.body.removeAttribute('aria-busy');
  showState(latest);
  showTrace(latest);
  drawNavigations();
  choices.show(latest);
  const { kind, word, sentence } = stateOf(latest);
  if (before !== null && before !== kind) say(`${word}. ${sentence}`);
  if (endingTrace !== null && latest.session.traceId !== endingTrace) {
    endingTrace = null;
    say(`New trace ${latest.session.traceId}`);
  }
}

function showState(/** @type {View} */ latest) {
  const { kind, word, sentence } = stateOf(latest);
  setAttribute(element('state'), 'data-kind', kind);
  setText(element('word'), word);
  setText(element('sentence'), sentence);
  setText(element('version'), latest.version);
  setText(pause, latest.paused ? 'Resume' : 'Pause');
  pause.disabled = false;
  newTrace.disabled = false;
  reconcile(element('hints'), hintsOf(latest), ({ text }) => text, createHint, updateHint);
  const exporter = exporterOf(latest);
  setShown(element('exporter'), exporter !== null);
  setText(element('endpoint'), exporter?.endpoint ?? '');
  setText(element('counts'), exporter?.counts ?? '');
  showProblems(latest.problems);
  setShown(element('incognito'), !latest.offTheRecord);
}

function showProblems(/** @type {string[]} */ problems) {
  const { latest, earlier } = problemsOf(problems);
  const create = (/** @type {string} */ problem) => make('li', '', problem);
  reconcile(element('problems'), latest, (problem) => problem, create);
  reconcile(element('earlier'), earlier, (problem, index) => `${earlier.length - index} ${problem}`, create);
  setShown(element('problems-part'), latest.length > 0);
  setShown(element('earlier-part'), earlier.length > 0);
  setText(element('earlier-count'), counted(earlier.length, 'earlier problem'));
}

/** @param {Hint} hint */
function createHint({ action }) {
  const item = make('li', 'hint');
  item.append(make('p', 'text'), make('p', 'small'));
  if (action !== null) {
    const button = make('button', '', action === 'reload' ? 'Reload the extension' : 'Reconnect');
    button.type = 'button';
    button.addEventListener('click', () => {
      if (action === 'reload') return chrome.runtime.reload();
      say('Connecting to the host');
      return send({ type: 'reconnect' });
    });
    item.append(button);
  }
  return item;
}

/** @param {HTMLElement} item @param {Hint} hint */
function updateHint(item, { text, small }) {
  const [main, extra] = item.querySelectorAll('p');
  if (main) setProse(main, text);
  if (!extra) return;
  setText(extra, small);
  setShown(extra, small !== '');
}

function showTrace(/** @type {View} */ latest) {
  const { tab, session, link } = latest;
  setText(element('tab-title'), tab === null ? 'Session' : 'This tab');
  setText(element('trace-id'), tab?.traceId ?? session.traceId);
  const note = tabNote(latest);
  setText(element('tab-note'), note);
  setShown(element('tab-note'), note !== '');
  copy.disabled = false;
  const address = linkAddress();
  setAttribute(open, 'href', address);
  setAttribute(open, 'aria-disabled', address === null ? 'true' : null);
  setAttribute(open, 'title', address);
  setShown(element('link-hint'), link === null);
}

function drawNavigations() {
  const navigations = view?.tab?.navigations ?? [];
  showNavigations(element('navigations'), navigations, Date.now());
  setShown(element('no-navigations'), navigations.length === 0);
}

const linkAddress = () => view && linkTo(view.link, linkedTrace(view, Date.now()));

copy.addEventListener('click', async () => {
  const id = element('trace-id');
  const word = element('copy-word');
  try {
    await navigator.clipboard.writeText(id.textContent ?? '');
    setText(word, 'Copied');
    say('Trace id copied');
  } catch {
    getSelection()?.selectAllChildren(id);
    setText(word, 'Selected');
    say('The trace id could not be copied. It is selected instead.');
  }
  setTimeout(() => setText(word, 'Copy'), FEEDBACK_TIME);
});
// The link has the time of the click as the end of the trace.
open.addEventListener('click', () => setAttribute(open, 'href', linkAddress()));
pause.addEventListener('click', () => {
  setText(element('refused'), '');
  if (view !== null) send({ type: 'pause', paused: !view.paused });
});
newTrace.addEventListener('click', () => {
  setText(element('refused'), '');
  endingTrace = view?.session.traceId ?? null;
  send({ type: 'new-trace' });
});
for (const link of document.querySelectorAll('.options')) {
  link.addEventListener('click', (event) => {
    event.preventDefault();
    void chrome.runtime.openOptionsPage();
  });
}

const tabId = await watchedTab();
const send = connect('popup', { type: 'watch', tabId }, (message) => {
  if (message.type === 'view') return show(message);
  if (message.type !== 'refused') return undefined;
  if (message.command === 'choose') return choices.refuse(message.message);
  endingTrace = null;
  return setText(element('refused'), message.message);
});
const choices = new ChoicesForm(send);
setInterval(() => {
  const isLoading = view?.tab?.navigations.some(({ ended, requests }) => ended === null || requests.some((request) => request.ended === null));
  if (isLoading) drawNavigations();
}, REDRAW_INTERVAL);
