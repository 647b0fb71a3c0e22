/**
 * The control of one setting, with what is said of it.
 */

import { make, setAttribute, setProse, setText } from '../popup/dom.js';
import { controlText, sourceOf } from './groups.js';

/** @typedef {import('../control/view.d.ts').SettingView} SettingView */

/** One setting on the page. */
export class Field {
  element = make('div', 'setting');
  #label = make('label');
  #meaning = make('p', 'meaning');
  #source = make('p', 'source');
  #error = make('p', 'error');
  #reset = make('button', '', 'Back to default');
  #control;
  #before = '';
  #placeholder = '';
  /** Whether the file holds a secret here, which is not told. */
  #holdsSecret = false;
  /** Whether that is to be removed. */
  #removes = false;

  /**
   * @param {SettingView} setting
   * @param {() => void} changed
   */
  constructor(setting, changed) {
    const id = `setting-${setting.key.replaceAll('.', '-')}`;
    this.#control = createControl(setting);
    this.#control.id = id;
    this.#label.htmlFor = id;
    // Long keys break behind their words.
    for (const word of setting.key.split(/(?<=[._])/)) this.#label.append(word, make('wbr'));
    this.#label.title = setting.name;
    this.#meaning.id = `${id}-meaning`;
    this.#source.id = `${id}-source`;
    this.#error.id = `${id}-error`;
    this.#error.setAttribute('role', 'alert');
    this.#control.setAttribute('aria-describedby', `${id}-error ${id}-meaning ${id}-source`);
    this.#reset.type = 'button';
    this.#reset.setAttribute('aria-label', `Back to default: ${setting.key}`);
    this.#reset.addEventListener('click', () => {
      this.#control.value = '';
      this.#removes = this.#holdsSecret;
      // The button goes, and takes the focus along.
      this.#control.focus();
      this.#touched(changed);
    });
    this.#control.addEventListener('input', () => {
      this.#removes = false;
      this.#touched(changed);
    });
    const line = make('div', 'line');
    line.append(this.#control, this.#reset);
    this.element.append(this.#label, line, this.#error, this.#meaning, this.#source);
    this.update(setting);
  }

  /** What stands in the control, null where what is stored is to be removed. */
  get text() {
    return this.#removes ? null : this.#control.value;
  }

  get isChanged() {
    return this.text?.trim() !== this.#before.trim();
  }

  /**
   * Shows what is in force now. What was typed stays.
   *
   * @param {SettingView} setting
   * @param {boolean} [stored] whether what was typed is stored by now
   */
  update(setting, stored = false) {
    const keeps = this.isChanged && !stored;
    this.#before = controlText(setting);
    if (!keeps) this.#control.value = this.#before;
    if (this.#control instanceof HTMLSelectElement && this.#control.selectedIndex === -1) {
      // Something that is none of the choices stands in the file.
      this.#control.add(new Option(this.#before, this.#before));
      this.#control.value = this.#before;
    }
    if (!keeps) this.#removes = false;
    this.#holdsSecret = setting.secret && setting.source === 'file';
    this.#placeholder = this.#holdsSecret ? 'stored, and not shown' : setting.default.replaceAll('`', '');
    setProse(this.#meaning, setting.meaning);
    const { text, overridden } = sourceOf(setting);
    setProse(this.#source, text);
    this.#source.classList.toggle('overridden', overridden);
    this.#mark();
  }

  /** @param {string} message empty to take one back */
  complain(message) {
    setText(this.#error, message);
    setAttribute(this.#control, 'aria-invalid', message === '' ? null : 'true');
  }

  focus() {
    this.#control.focus();
  }

  /** @param {() => void} changed */
  #touched(changed) {
    this.complain('');
    this.#mark();
    changed();
  }

  #mark() {
    this.#reset.hidden = this.text === null || (this.text.trim() === '' && !this.#holdsSecret);
    if (!(this.#control instanceof HTMLSelectElement)) setAttribute(this.#control, 'placeholder', this.#removes ? 'to be removed' : this.#placeholder);
    this.element.classList.toggle('changed', this.isChanged);
  }
}

/** @param {SettingView} setting */
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
