/**
 * Helpers of the popup and the options page. Text from elsewhere becomes text, never markup.
 */

/**
 * Returns the element of the page with this id.
 *
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/**
 * Creates an element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className = '', text = '') {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (text !== '') made.textContent = text;
  return made;
}

/**
 * Sets an element's text if it differs: screen readers and selections notice every change.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Sets a text to be spoken by screen readers, also if it is the same as before.
 *
 * @param {Element} element
 * @param {string} text
 */
export function announce(element, text) {
  element.textContent = element.textContent === text && text !== '' ? `${text}\u00a0` : text;
}

/**
 * Sets an attribute if it differs, or removes it.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string | null} value null removes it
 */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Shows or hides an element. @param {Element} element @param {boolean} isShown */
export const setShown = (element, isShown) => setAttribute(element, 'hidden', isShown ? null : '');

/** Sets a text in which backticks mark code. @param {Element} element @param {string} text */
export function setProse(element, text) {
  if (element.textContent === text.replaceAll('`', '')) return;
  const parts = text.split('`').map((part, index) => (index % 2 === 1 ? make('code', '', part) : part));
  element.replaceChildren(...parts);
}

/**
 * Makes a list show these items. Elements of items that stay are kept, with their focus and open parts.
 *
 * @template T
 * @template {Element} E
 * @param {Element} list
 * @param {T[]} items
 * @param {(item: T, index: number) => string} keyOf
 * @param {(item: T) => E} create
 * @param {(element: E, item: T, index: number) => void} [update]
 */
export function reconcile(list, items, keyOf, create, update) {
  const keys = items.map(keyOf);
  const staying = new Set(keys);
  /** @type {Map<string, E>} */
  const elements = new Map();
  for (const child of [...list.children]) {
    const key = child.getAttribute('data-key') ?? '';
    if (staying.has(key)) elements.set(key, /** @type {E} */ (child));
    else child.remove();
  }
  for (const [index, item] of items.entries()) {
    const key = keys[index] ?? '';
    let element = elements.get(key);
    if (element === undefined) {
      element = create(item);
      element.setAttribute('data-key', key);
    }
    // An element that is moved loses its focus, so only new ones and those out of order are inserted.
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
    update?.(element, item, index);
  }
}

/** Formats a count with its noun. @param {number} amount @param {string} noun in the singular */
export const counted = (amount, noun) => `${formatNumber(amount)} ${noun}${amount === 1 ? '' : 's'}`;

/** @param {number} amount */
export const formatNumber = (amount) => amount.toLocaleString('en-US');
