/**
 * The options page: the settings that last, which the host keeps in config.toml.
 */

import { byId, make, setAttribute, setText } from '../popup/dom.js';
import { count } from '../popup/text.js';
import { connect } from '../popup/worker.js';
import { Field } from './fields.js';
import { changes, groupsOf, refusedKey } from './groups.js';

/** @typedef {import('../control/view.d.ts').View} View */
/** @typedef {import('../control/view.d.ts').SettingsView} SettingsView */

const form = byId('settings', HTMLFormElement);
const fields = byId('fields', HTMLFieldSetElement);
const save = byId('save', HTMLButtonElement);
const discard = byId('discard', HTMLButtonElement);

/** @type {Map<string, Field>} */
const shown = new Map();
/** @type {SettingsView | null} */
let latest = null;
/** Whether the host is there, which keeps the settings. */
let isConnected = false;
/** What was sent, until the answer comes. @type {string[] | null} */
let storing = null;
/** Whether the next settings are what came of storing. */
let isStored = false;

function showHost(/** @type {View} */ { host }) {
  const was = isConnected;
  isConnected = host.state === 'connected';
  setAttribute(byId('no-host', HTMLElement), 'hidden', host.state === 'missing' ? null : '');
  setAttribute(byId('waiting', HTMLElement), 'hidden', host.state === 'starting' ? null : '');
  setText(byId('reason', HTMLElement), host.reason === null ? '' : `The browser says: ${host.reason}`);
  // While another host is on its way, nobody is to lose what has the focus.
  fields.disabled = host.state === 'missing';
  if (isConnected && !was) send({ type: 'settings' });
  if (!isConnected && storing !== null && host.state === 'missing') {
    storing = null;
    report('Nothing was stored: the host is gone.', true);
  }
  showButtons();
}

function showSettings(/** @type {SettingsView} */ settings) {
  latest = settings;
  setText(byId('file', HTMLElement), settings.file ?? '');
  setAttribute(byId('file-line', HTMLElement), 'hidden', settings.file === null ? '' : null);
  setText(byId('file-note', HTMLElement), settings.exists ? '' : ', which is made at the first save');
  for (const group of groupsOf(settings.settings)) {
    for (const setting of group.settings) {
      const field = shown.get(setting.key);
      if (field !== undefined) {
        field.update(setting, isStored);
        continue;
      }
      const made = new Field(setting, showButtons);
      shown.set(setting.key, made);
      groupElement(group.title).append(made.element);
    }
  }
  isStored = false;
  fields.hidden = false;
  byId('buttons', HTMLElement).hidden = false;
  showButtons();
}

/** @param {string} title */
function groupElement(title) {
  const id = `group-${title.toLowerCase().replaceAll(' ', '-')}`;
  const found = document.getElementById(id);
  if (found !== null) return found;
  const section = make('section', 'group');
  section.id = id;
  section.append(make('h2', '', title));
  section.setAttribute('aria-label', title);
  fields.append(section);
  return section;
}

function showButtons() {
  const changed = [...shown.values()].filter((field) => field.isChanged).length;
  save.disabled = !isConnected || changed === 0 || storing !== null;
  discard.disabled = changed === 0 || storing !== null;
  setText(byId('changed', HTMLElement), changed === 0 ? '' : `${count(changed, 'setting')} changed`);
}

/**
 * @param {string} text
 * @param {boolean} [isError]
 */
function report(text, isError = false) {
  const result = byId('result', HTMLElement);
  result.classList.toggle('error', isError);
  result.textContent = result.textContent === text && text !== '' ? `${text}\u00a0` : text;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (latest === null || save.disabled) return;
  const values = changes(latest.settings, (key) => shown.get(key)?.text ?? null);
  storing = Object.keys(values);
  for (const field of shown.values()) field.complain('');
  report('');
  showButtons();
  send({ type: 'store', values });
});
discard.addEventListener('click', () => {
  for (const setting of latest?.settings ?? []) {
    shown.get(setting.key)?.complain('');
    shown.get(setting.key)?.update(setting, true);
  }
  report('Changes discarded.');
  showButtons();
});
byId('reconnect', HTMLButtonElement).addEventListener('click', () => {
  report('Looking for the host.');
  send({ type: 'reconnect' });
});

const send = connect('options', [{ type: 'watch', tabId: null }], (told) => {
  if (told.type === 'view') showHost(told);
  else if (told.type === 'settings') showSettings(told);
  else if (told.type === 'stored') {
    isStored = true;
    report(`Saved: ${(storing ?? []).join(', ')}.`);
    storing = null;
    showButtons();
  } else if (told.command === 'store' || told.command === 'settings') {
    const key = refusedKey(latest?.settings ?? [], storing ?? [], told.message);
    if (storing !== null && key !== null) {
      shown.get(key)?.complain(told.message);
      shown.get(key)?.focus();
      report('Nothing was saved.', true);
    } else {
      report(told.message, true);
    }
    storing = null;
    showButtons();
  }
});
