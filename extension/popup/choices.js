/**
 * What can be chosen for this session: how much is sampled, and who gets headers.
 */

import { byId, setAttribute, setText } from './dom.js';
import { choiceOf, percent, readPatterns, readPercent } from './text.js';

/** @typedef {import('../control/view.d.ts').View} View */
/** @typedef {import('../control/view.d.ts').Command} Command */
/** @typedef {View['chosen']} Chosen */

const OFFERED = [1, 0.1, 0.01];

/**
 * The two fields, and what is wrong with them.
 */
export class Choices {
  #sampling = byId('sampling', HTMLSelectElement);
  #own = byId('own', HTMLInputElement);
  #ownLine = byId('own-line', HTMLElement);
  #targets = byId('targets', HTMLTextAreaElement);
  #fields = byId('choices', HTMLFieldSetElement);
  #send;
  /** @type {Chosen} */
  #chosen = { ratio: null, targets: null };
  /** Which field was sent last, and so is refused. @type {'sampling' | 'targets'} */
  #sent = 'sampling';
  /** Whether what stands in a field is the user's, who has not sent it yet. */
  #typing = { sampling: false, targets: false };

  /** @param {(command: Command) => void} send */
  constructor(send) {
    this.#send = send;
    this.#sampling.addEventListener('change', () => this.#choose());
    this.#own.addEventListener('input', () => this.#typed('sampling'));
    byId('own-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#applyOwn();
    });
    this.#targets.addEventListener('input', () => this.#typed('targets'));
    byId('targets-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const patterns = readPatterns(this.#targets.value);
      this.#apply('targets', { ...this.#chosen, targets: patterns.length === 0 ? null : patterns });
    });
    byId('targets-reset', HTMLButtonElement).addEventListener('click', () => {
      this.#targets.value = '';
      this.#apply('targets', { ...this.#chosen, targets: null });
    });
  }

  /** @param {View} view */
  show(view) {
    const { chosen, configured, host } = view;
    this.#chosen = chosen;
    this.#fields.disabled = host.state === 'missing';
    setText(byId('choices-why', HTMLElement), host.state === 'missing' ? 'These need the host.' : '');
    setText(byId('choice', HTMLElement), choiceOf(view));
    setText(byId('as-configured', HTMLOptionElement), `As configured (${percent(configured.ratio)})`);
    const others = configured.parentBased ? ' One that others began keeps their decision.' : '';
    setText(byId('sampling-note', HTMLElement), `For traces that begin from now on: “New trace” begins one.${others}`);
    if (!this.#typing.sampling) this.#showRatio(chosen.ratio);
    const lines = configured.targets.length === 0 ? 'everything' : configured.targets.join('\n');
    setAttribute(this.#targets, 'placeholder', lines);
    setText(byId('exclude-note', HTMLElement), configured.exclude.length === 0 ? '' : `Always left out: ${configured.exclude.join(', ')}`);
    if (!this.#typing.targets && document.activeElement !== this.#targets) {
      const text = chosen.targets?.join('\n') ?? '';
      if (this.#targets.value !== text) this.#targets.value = text;
    }
  }

  /**
   * Says beside the field what was wrong with it.
   *
   * @param {string} message
   */
  refuse(message) {
    this.#typing[this.#sent] = true;
    this.#complain(this.#sent, message);
  }

  /** @param {number | null} ratio */
  #showRatio(ratio) {
    const offered = ratio === null ? '' : OFFERED.includes(ratio) ? String(ratio) : 'own';
    if (document.activeElement !== this.#sampling) this.#sampling.value = offered;
    this.#ownLine.hidden = this.#sampling.value !== 'own';
    if (offered === 'own' && ratio !== null && document.activeElement !== this.#own) this.#own.value = String(Number((ratio * 100).toPrecision(6)));
  }

  #choose() {
    const { value } = this.#sampling;
    this.#ownLine.hidden = value !== 'own';
    if (value === 'own') {
      this.#typing.sampling = true;
      this.#own.focus();
      return;
    }
    this.#apply('sampling', { ...this.#chosen, ratio: value === '' ? null : Number(value) });
  }

  #applyOwn() {
    const ratio = readPercent(this.#own.value);
    if (ratio === null) this.#complain('sampling', 'Expected a number from 0 to 100.');
    else this.#apply('sampling', { ...this.#chosen, ratio });
  }

  /**
   * @param {'sampling' | 'targets'} field
   * @param {Chosen} chosen
   */
  #apply(field, chosen) {
    this.#sent = field;
    this.#typing[field] = false;
    this.#chosen = chosen;
    this.#complain(field, '');
    this.#send({ type: 'choose', ...chosen });
  }

  /** @param {'sampling' | 'targets'} field */
  #typed(field) {
    this.#typing[field] = true;
    this.#complain(field, '');
  }

  /**
   * @param {'sampling' | 'targets'} field
   * @param {string} message
   */
  #complain(field, message) {
    const inputs = field === 'targets' ? [this.#targets] : [this.#sampling, this.#own];
    for (const input of inputs) setAttribute(input, 'aria-invalid', message === '' ? null : 'true');
    setText(byId(`${field}-error`, HTMLElement), message);
  }
}
