/**
 * The popup's form for this session: the sampling ratio, the requests that have spans, and the targets.
 */

import { byId, setAttribute, setText } from '../ui/dom.js';
import { choiceOf, percent, readPatterns, readPercent, toPercent } from './text.js';

/** @import { Command, View } from '../pages/messages.js' */
/** @typedef {View['chosen']} Chosen */
/** @typedef {'sampling' | 'resources' | 'targets'} FieldName */

/** The ratios in the list; any other one is typed. */
const OFFERED_RATIOS = [1, 0.1, 0.01];
const OTHER = 'own';

/** The form, and the errors beside its fields. */
export class ChoicesForm {
  #sampling = byId('sampling', HTMLSelectElement);
  #percentage = byId('own', HTMLInputElement);
  #percentageLine = byId('own-line', HTMLElement);
  #resources = byId('resources', HTMLSelectElement);
  #targets = byId('targets', HTMLTextAreaElement);
  #send;
  /** @type {Chosen} */
  #chosen = { ratio: null, targets: null, resources: null };
  /** The field that was sent last, which a refusal is about. @type {FieldName} */
  #sent = 'sampling';
  /** Whether the user has changed a field and not sent it yet. */
  #isEdited = { sampling: false, resources: false, targets: false };

  /** @param {(command: Command) => void} send */
  constructor(send) {
    this.#send = send;
    this.#sampling.addEventListener('change', () => this.#selectRatio());
    this.#percentage.addEventListener('input', () => this.#edited('sampling'));
    this.#resources.addEventListener('change', () => {
      const { value } = this.#resources;
      this.#apply('resources', { resources: value === '' ? null : [value] });
    });
    this.#targets.addEventListener('input', () => this.#edited('targets'));
    byId('ratio-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const ratio = readPercent(this.#percentage.value);
      if (ratio === null) this.#showError('sampling', 'Enter a number from 0 to 100.');
      else this.#apply('sampling', { ratio });
    });
    byId('targets-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const targets = readPatterns(this.#targets.value);
      this.#apply('targets', { targets: targets.length === 0 ? null : targets });
    });
    byId('targets-reset', HTMLButtonElement).addEventListener('click', () => {
      this.#targets.value = '';
      this.#apply('targets', { targets: null });
    });
  }

  /** @param {View} view */
  show(view) {
    const { chosen, configured, host } = view;
    this.#chosen = chosen;
    byId('choices', HTMLFieldSetElement).disabled = host.state === 'missing';
    setText(byId('choices-why', HTMLElement), host.state === 'missing' ? 'You can change these when the host is connected.' : '');
    setText(byId('choice', HTMLElement), choiceOf(view));
    setText(byId('as-configured', HTMLOptionElement), `As configured (${percent(configured.ratio)})`);
    const others = configured.parentBased ? ' A trace that continues another one keeps its sampling decision.' : '';
    setText(byId('sampling-note', HTMLElement), `Applies to new traces: press “New trace” to start one.${others}`);
    if (!this.#isEdited.sampling) this.#showRatio(chosen.ratio);
    setText(byId('resources-configured', HTMLOptionElement), `As configured (${configured.resources.join(', ')})`);
    if (document.activeElement !== this.#resources) this.#resources.value = chosen.resources?.[0] ?? '';
    setAttribute(this.#targets, 'placeholder', configured.targets.length === 0 ? 'all addresses' : configured.targets.join('\n'));
    setText(byId('exclude-note', HTMLElement), configured.exclude.length === 0 ? '' : `Always excluded: ${configured.exclude.join(', ')}`);
    if (!this.#isEdited.targets && document.activeElement !== this.#targets) {
      const text = chosen.targets?.join('\n') ?? '';
      if (this.#targets.value !== text) this.#targets.value = text;
    }
  }

  /** Shows why the host refused the latest choice. @param {string} message */
  refuse(message) {
    this.#isEdited[this.#sent] = true;
    this.#showError(this.#sent, message);
  }

  /** @param {number | null} ratio */
  #showRatio(ratio) {
    const selected = ratio === null ? '' : OFFERED_RATIOS.includes(ratio) ? String(ratio) : OTHER;
    if (document.activeElement !== this.#sampling) this.#sampling.value = selected;
    this.#percentageLine.hidden = this.#sampling.value !== OTHER;
    if (selected === OTHER && ratio !== null && document.activeElement !== this.#percentage) this.#percentage.value = String(toPercent(ratio));
  }

  #selectRatio() {
    const { value } = this.#sampling;
    this.#percentageLine.hidden = value !== OTHER;
    if (value !== OTHER) return this.#apply('sampling', { ratio: value === '' ? null : Number(value) });
    this.#isEdited.sampling = true;
    return this.#percentage.focus();
  }

  /** @param {FieldName} field @param {Partial<Chosen>} change */
  #apply(field, change) {
    this.#sent = field;
    this.#chosen = { ...this.#chosen, ...change };
    this.#isEdited[field] = false;
    this.#showError(field, '');
    this.#send({ type: 'choose', ...this.#chosen });
  }

  /** @param {FieldName} field */
  #edited(field) {
    this.#isEdited[field] = true;
    this.#showError(field, '');
  }

  /** @param {FieldName} field @param {string} message empty to remove an error */
  #showError(field, message) {
    const inputs = { sampling: [this.#sampling, this.#percentage], resources: [this.#resources], targets: [this.#targets] };
    for (const input of inputs[field]) setAttribute(input, 'aria-invalid', message === '' ? null : 'true');
    setText(byId(`${field}-error`, HTMLElement), message);
  }
}
