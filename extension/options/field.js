/**
 * One setting on the options page: its control, description and error.
 */

import { make, setAttribute, setProse, setText } from '../ui/dom.js';
import { controlText, sourceOf } from './settings.js';

/** @import { SettingInfo } from '../protocol.d.ts' */

/** A setting's control with its texts. */
export class Field {
  element = make('div', 'setting');
  #meaning = make('p', 'meaning');
  #source = make('p', 'source');
  #error = make('p', 'error');
  #reset = make('button', '', 'Back to default');
  #control;
  #storedText = '';
  #placeholder = '';
  /** Whether the file has a secret value here, which the host does not send. */
  #hasSecret = false;
  /** Whether the user wants to remove that secret value. */
  #removesSecret = false;

  /** @param {SettingInfo} setting @param {() => void} edited is called when the user has changed the control */
  constructor(setting, edited) {
    const id = `setting-${setting.key.replaceAll('.', '-')}`;
    this.#control = createControl(setting);
    this.#control.id = id;
    this.#control.setAttribute('aria-describedby', `${id}-error ${id}-meaning ${id}-source`);
    this.#control.addEventListener('input', () => {
      this.#removesSecret = false;
      this.#edited(edited);
    });
    this.#meaning.id = `${id}-meaning`;
    this.#source.id = `${id}-source`;
    this.#error.id = `${id}-error`;
    this.#error.setAttribute('role', 'alert');
    this.#reset.type = 'button';
    this.#reset.setAttribute('aria-label', `Back to default: ${setting.key}`);
    this.#reset.addEventListener('click', () => {
      this.#control.value = '';
      this.#removesSecret = this.#hasSecret;
      // The button disappears, so the focus must go elsewhere.
      this.#control.focus();
      this.#edited(edited);
    });
    const label = make('label');
    label.htmlFor = id;
    label.title = setting.name;
    // Long keys wrap between their words.
    for (const word of setting.key.split(/(?<=[._])/)) label.append(word, make('wbr'));
    const line = make('div', 'line');
    line.append(this.#control, this.#reset);
    this.element.append(label, line, this.#error, this.#meaning, this.#source);
    this.update(setting);
  }

  /** The text of the control, or null to remove a secret value. */
  get text() {
    return this.#removesSecret ? null : this.#control.value;
  }

  get isChanged() {
    return this.text?.trim() !== this.#storedText.trim();
  }

  /**
   * Shows the setting's current state. Keeps what the user typed, unless `replaces` is set.
   *
   * @param {SettingInfo} setting
   * @param {boolean} [replaces]
   */
  update(setting, replaces = false) {
    const keepsText = this.isChanged && !replaces;
    this.#storedText = controlText(setting);
    if (!keepsText) {
      this.#control.value = this.#storedText;
      this.#removesSecret = false;
    }
    if (this.#control instanceof HTMLSelectElement && this.#control.selectedIndex === -1) {
      // The file has a value that is not among the choices.
      this.#control.add(new Option(this.#storedText, this.#storedText));
      this.#control.value = this.#storedText;
    }
    this.#hasSecret = setting.secret && setting.source === 'file';
    this.#placeholder = this.#hasSecret ? 'saved, but not shown' : setting.default.replaceAll('`', '');
    setProse(this.#meaning, setting.meaning);
    const { text, overridden } = sourceOf(setting);
    setProse(this.#source, text);
    this.#source.classList.toggle('overridden', overridden);
    this.#mark();
  }

  /** @param {string} message empty to remove the error */
  showError(message) {
    setText(this.#error, message);
    setAttribute(this.#control, 'aria-invalid', message === '' ? null : 'true');
  }

  focus() {
    this.#control.focus();
  }

  /** @param {() => void} edited */
  #edited(edited) {
    this.showError('');
    this.#mark();
    edited();
  }

  #mark() {
    this.#reset.hidden = this.text === null || (this.text.trim() === '' && !this.#hasSecret);
    if (!(this.#control instanceof HTMLSelectElement)) {
      setAttribute(this.#control, 'placeholder', this.#removesSecret ? 'will be removed' : this.#placeholder);
    }
    this.element.classList.toggle('changed', this.isChanged);
  }
}

/** @param {SettingInfo} setting */
function createControl({ kind, choices }) {
  if (kind === 'switch' || kind === 'choice') {
    const select = make('select');
    const values = kind === 'switch' ? ['on', 'off'] : choices;
    select.append(new Option('default', ''), ...values.map((value) => new Option(value, value)));
    return select;
  }
  const control = kind === 'list' ? make('textarea') : make('input');
  if (control instanceof HTMLTextAreaElement) control.rows = 2;
  control.spellcheck = false;
  control.autocomplete = 'off';
  return control;
}
