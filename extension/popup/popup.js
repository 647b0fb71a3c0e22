/**
 * The popup: shows the worker's view and tells it what was chosen. Everything is updated in place, so that focus, open parts and typed text stay.
 */

import { Choices } from './choices.js';
import { byId, make, reconcile, setAttribute, setProse, setText } from './dom.js';
import { linkTo, linkedTrace } from './link.js';
import { showNavigations } from './navigations.js';
import { count, exporterOf, notesOf, problemsOf, stateOf, tabNote } from './text.js';
import { connect } from './worker.js';

/** @typedef {import('../control/view.d.ts').View} View */
/** @typedef {import('./text.js').Note} Note */

/** How long a button says what it has done. */
const FEEDBACK = 2000;

/** How often what goes on is drawn again, so that its bars grow. */
const TICK = 500;

const copy = byId('copy', HTMLButtonElement);
const copyWord = byId('copy-word', HTMLElement);
const open = byId('open', HTMLAnchorElement);
const pause = byId('pause', HTMLButtonElement);
const newTrace = byId('new-trace', HTMLButtonElement);

/** @type {View | null} */
let view = null;
/** The trace that "New trace" was to end. @type {string | null} */
let ending = null;

/** The tab that the popup is about: the one named in its address, or the one it was opened over. */
async function watchedTab() {
  const named = new URLSearchParams(location.search).get('tab');
  if (named !== null) return /^\d+$/.test(named) ? Number(named) : null;
  const [tab] = await chrome.tabs.query({ active: true, currentWindow: true });
  return tab?.id ?? null;
}

/** Has screen readers say something. */
function say(/** @type {string} */ text) {
  const said = byId('said', HTMLElement);
  // The same words again are to be heard again.
  said.textContent = said.textContent === text ? `${text}\u00a0` : text;
}

function show(/** @type {View} */ latest) {
  const before = view === null ? null : stateOf(view).kind;
  view = latest;
  document.body.removeAttribute('aria-busy');
  showState();
  showTrace();
  showNavigations(byId('navigations', HTMLElement), view.tab?.navigations ?? [], Date.now());
  setAttribute(byId('no-navigations', HTMLElement), 'hidden', (view.tab?.navigations.length ?? 0) === 0 ? null : '');
  choices.show(view);
  const { kind, word, sentence } = stateOf(view);
  if (before !== null && before !== kind) say(`${word}. ${sentence}`);
  if (ending !== null && view.session.traceId !== ending) {
    ending = null;
    say(`New trace ${view.session.traceId}`);
  }
}

function showState() {
  const { kind, word, sentence } = stateOf(view);
  setAttribute(byId('state', HTMLElement), 'data-kind', kind);
  setText(byId('word', HTMLElement), word);
  setText(byId('sentence', HTMLElement), sentence);
  if (view === null) return;
  setText(byId('version', HTMLElement), view.version);
  setText(pause, view.paused ? 'Resume' : 'Pause');
  pause.disabled = false;
  newTrace.disabled = false;
  reconcile(byId('notes', HTMLElement), notesOf(view), ({ text }) => text, createNote, updateNote);
  const exporter = exporterOf(view);
  setAttribute(byId('exporter', HTMLElement), 'hidden', exporter === null ? '' : null);
  setText(byId('endpoint', HTMLElement), exporter?.endpoint ?? '');
  setText(byId('counts', HTMLElement), exporter?.counts ?? '');
  const { shown, folded } = problemsOf(view.problems);
  const asText = (/** @type {string} */ problem) => make('li', '', problem);
  reconcile(byId('problems', HTMLElement), shown, (problem) => problem, asText, () => undefined);
  reconcile(byId('earlier', HTMLElement), folded, (problem, place) => `${folded.length - place} ${problem}`, asText, () => undefined);
  setAttribute(byId('told', HTMLElement), 'hidden', shown.length === 0 ? '' : null);
  setAttribute(byId('earlier-part', HTMLElement), 'hidden', folded.length === 0 ? '' : null);
  setText(byId('earlier-count', HTMLElement), `${count(folded.length, 'earlier problem')}`);
  setAttribute(byId('incognito', HTMLElement), 'hidden', view.offTheRecord ? '' : null);
}

/** @param {Note} note */
function createNote({ action }) {
  const item = make('li', 'note');
  item.append(make('p', 'text'), make('p', 'small'));
  if (action !== null) {
    const button = make('button', '', action === 'reload' ? 'Reload the extension' : 'Reload');
    button.type = 'button';
    button.addEventListener('click', () => {
      if (action === 'reload') return chrome.runtime.reload();
      say('Looking for the host');
      send({ type: 'reconnect' });
    });
    item.append(button);
  }
  return item;
}

/**
 * @param {HTMLElement} item
 * @param {Note} note
 */
function updateNote(item, { text, small }) {
  const [main, extra] = item.querySelectorAll('p');
  if (main) setProse(main, text);
  if (!extra) return;
  setText(extra, small);
  extra.hidden = small === '';
}

function showTrace() {
  if (view === null) return;
  const { tab, session } = view;
  setText(byId('whose', HTMLElement), tab === null ? 'Session' : 'This tab');
  setText(byId('trace-id', HTMLElement), tab?.traceId ?? session.traceId);
  const note = tabNote(view);
  setText(byId('tab-note', HTMLElement), note);
  setAttribute(byId('tab-note', HTMLElement), 'hidden', note === '' ? '' : null);
  copy.disabled = false;
  const address = linkAddress();
  setAttribute(open, 'href', address);
  setAttribute(open, 'aria-disabled', address === null ? 'true' : null);
  setAttribute(open, 'title', address);
  setAttribute(byId('link-hint', HTMLElement), 'hidden', view.link === null ? null : '');
}

const linkAddress = () => view && linkTo(view.link, linkedTrace(view, Date.now()));

copy.addEventListener('click', async () => {
  const id = byId('trace-id', HTMLElement).textContent ?? '';
  try {
    await navigator.clipboard.writeText(id);
    setText(copyWord, 'Copied');
    say('Trace id copied');
  } catch {
    getSelection()?.selectAllChildren(byId('trace-id', HTMLElement));
    setText(copyWord, 'Selected');
    say('The trace id could not be copied: it is selected');
  }
  setTimeout(() => setText(copyWord, 'Copy'), FEEDBACK);
});
// The end of the trace is the moment of the click.
open.addEventListener('click', () => setAttribute(open, 'href', linkAddress()));
pause.addEventListener('click', () => {
  setText(byId('refused', HTMLElement), '');
  if (view !== null) send({ type: 'pause', paused: !view.paused });
});
newTrace.addEventListener('click', () => {
  setText(byId('refused', HTMLElement), '');
  ending = view?.session.traceId ?? null;
  send({ type: 'new-trace' });
});
for (const link of document.querySelectorAll('.options')) {
  link.addEventListener('click', (event) => {
    event.preventDefault();
    void chrome.runtime.openOptionsPage();
  });
}

const tabId = await watchedTab();
const send = connect('popup', [{ type: 'watch', tabId }], (told) => {
  if (told.type === 'view') show(told);
  else if (told.type === 'refused' && told.command === 'choose') choices.refuse(told.message);
  else if (told.type === 'refused') {
    ending = null;
    setText(byId('refused', HTMLElement), told.message);
  }
});
const choices = new Choices(send);
setInterval(() => {
  const navigations = view?.tab?.navigations ?? [];
  if (navigations.some(({ ended, requests }) => ended === null || requests.some((request) => request.ended === null))) {
    showNavigations(byId('navigations', HTMLElement), navigations, Date.now());
  }
}, TICK);
