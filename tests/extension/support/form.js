/**
 * The elements that the popup's form uses, as far as the unit tests need them.
 */

/** An element: listeners, text and attributes. */
class FakeElement {
  value = '';
  textContent = '';
  hidden = false;
  disabled = false;
  /** @type {Map<string, string>} */
  attributes = new Map();
  /** @type {Map<string, (event: { preventDefault: () => void }) => void>} */
  #listeners = new Map();

  /** @param {string} name @param {(event: { preventDefault: () => void }) => void} listener */
  addEventListener(name, listener) {
    this.#listeners.set(name, listener);
  }

  /** @param {string} name */
  fire(name) {
    this.#listeners.get(name)?.({ preventDefault: () => {} });
  }

  /** @param {string} name */
  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }

  /** @param {string} name @param {string} value */
  setAttribute(name, value) {
    this.attributes.set(name, value);
  }

  /** @param {string} name */
  removeAttribute(name) {
    this.attributes.delete(name);
  }

  focus() {}
}

const TYPES = [
  'HTMLElement', 'HTMLSelectElement', 'HTMLInputElement', 'HTMLTextAreaElement', 'HTMLFormElement', 'HTMLButtonElement', 'HTMLOptionElement',
  'HTMLFieldSetElement',
];

/** Installs a fake `document`. Returns a function that finds an element by its id. */
export function fakeDocument() {
  /** @type {Map<string, FakeElement>} */
  const elements = new Map();
  /** @param {string} id */
  const find = (id) => {
    const element = elements.get(id) ?? new FakeElement();
    elements.set(id, element);
    return element;
  };
  const types = Object.fromEntries(TYPES.map((name) => [name, FakeElement]));
  Object.assign(globalThis, types, { document: { getElementById: find, activeElement: null } });
  return find;
}
