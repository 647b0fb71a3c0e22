/**
 * The options page: shows and changes the settings in config.toml, which only the host can read and write.
 */

import { connect } from '../ui/connection.js';
import { announce, byId, counted, make, setShown, setText } from '../ui/dom.js';
import { Field } from './field.js';
import { changes, groupsOf, refusedKey } from './settings.js';

/** @import { Refused, SettingsView, View } from '../pages/messages.js' */

/** @param {string} id */
const element = (id) => byId(id, HTMLElement);

const form = byId('settings', HTMLFormElement);
const fieldset = byId('fields', HTMLFieldSetElement);
const save = byId('save', HTMLButtonElement);
const discard = byId('discard', HTMLButtonElement);

/** @type {Map<string, Field>} by key */
const fields = new Map();
/** @type {SettingsView | null} */
let latest = null;
let isConnected = false;
/** Keys that were sent, until the host answers. @type {string[] | null} */
let saving = null;
/** Whether the next settings follow a save. */
let isSaved = false;

function showHost(/** @type {View} */ { host }) {
  const wasConnected = isConnected;
  const isMissing = host.state === 'missing';
  isConnected = host.state === 'connected';
  setShown(element('no-host'), isMissing);
  setShown(element('waiting'), host.state === 'starting');
  setText(element('reason'), host.reason === null ? '' : `The browser says: ${host.reason}`);
  // While a host starts, the fields stay enabled, because disabled ones would lose the focus.
  fieldset.disabled = isMissing;
  if (isConnected && !wasConnected) send({ type: 'settings' });
  if (isMissing && saving !== null) {
    saving = null;
    report('Nothing was saved: the host has disconnected.', true);
  }
  showButtons();
}

function showSettings(/** @type {SettingsView} */ settings) {
  latest = settings;
  setText(element('file'), settings.file ?? '');
  setShown(element('file-line'), settings.file !== null);
  setText(element('file-note'), settings.exists ? '' : ', which is created when you save');
  for (const group of groupsOf(settings.settings)) {
    for (const setting of group.settings) {
      const field = fields.get(setting.key);
      if (field === undefined) addField(group.title, new Field(setting, showButtons), setting.key);
      else field.update(setting, isSaved);
    }
  }
  isSaved = false;
  fieldset.hidden = false;
  element('buttons').hidden = false;
  showButtons();
}

/** @param {string} title of its group @param {Field} field @param {string} key */
function addField(title, field, key) {
  fields.set(key, field);
  const id = `group-${title.toLowerCase().replaceAll(' ', '-')}`;
  let section = document.getElementById(id);
  if (section === null) {
    section = make('section', 'group');
    section.id = id;
    section.append(make('h2', '', title));
    section.setAttribute('aria-label', title);
    fieldset.append(section);
  }
  section.append(field.element);
}

function showButtons() {
  const changed = [...fields.values()].filter((field) => field.isChanged).length;
  save.disabled = !isConnected || changed === 0 || saving !== null;
  discard.disabled = changed === 0 || saving !== null;
  setText(element('changed'), changed === 0 ? '' : `${counted(changed, 'setting')} changed`);
}

/** @param {string} text @param {boolean} [isError] */
function report(text, isError = false) {
  element('result').classList.toggle('error', isError);
  announce(element('result'), text);
}

function showRefusal(/** @type {Refused} */ { message }) {
  const key = saving && refusedKey(latest?.settings ?? [], saving, message);
  saving = null;
  const field = fields.get(key ?? '');
  field?.showError(message);
  field?.focus();
  report(field === undefined ? message : 'Nothing was saved.', true);
  showButtons();
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (latest === null || save.disabled) return;
  const values = changes(latest.settings, (key) => fields.get(key)?.text ?? null);
  saving = Object.keys(values);
  for (const field of fields.values()) field.showError('');
  report('');
  showButtons();
  send({ type: 'store', values });
});
discard.addEventListener('click', () => {
  for (const setting of latest?.settings ?? []) {
    fields.get(setting.key)?.showError('');
    fields.get(setting.key)?.update(setting, true);
  }
  report('Changes discarded.');
  showButtons();
});
byId('reconnect', HTMLButtonElement).addEventListener('click', () => {
  report('Connecting to the host.');
  send({ type: 'reconnect' });
});

const send = connect('options', { type: 'watch', tabId: null }, (message) => {
  if (message.type === 'view') showHost(message);
  else if (message.type === 'settings') showSettings(message);
  else if (message.type === 'stored') {
    isSaved = true;
    report(`Saved: ${(saving ?? []).join(', ')}.`);
    saving = null;
    showButtons();
  } else if (message.command === 'store' || message.command === 'settings') showRefusal(message);
});
