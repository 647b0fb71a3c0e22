/**
 * Small helpers for pages. Text from elsewhere becomes text, never markup.
 */

/**
 * Gives the element of the page with this id.
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
 * Makes an element.
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
 * Sets a text if it is another: screen readers and selections notice every change.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Sets an attribute if it is another, and removes it where there is no value.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string | null} value
 */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Sets a text in which backticks mark code.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setProse(element, text) {
  if (element.textContent === text.replaceAll('`', '')) return;
  const parts = text.split('`').map((part, place) => (place % 2 === 1 ? make('code', '', part) : part));
  element.replaceChildren(...parts);
}

/**
 * Has a list show these items, keeping the elements of those that stay: focus, and what is open, stay with them.
 *
 * @template T
 * @template {Element} E
 * @param {Element} list
 * @param {T[]} items
 * @param {(item: T, place: number) => string} keyOf
 * @param {(item: T) => E} create
 * @param {(element: E, item: T, place: number) => void} update
 */
export function reconcile(list, items, keyOf, create, update) {
  const keys = items.map(keyOf);
  const staying = new Set(keys);
  /** @type {Map<string, E>} */
  const there = new Map();
  for (const child of [...list.children]) {
    const key = child.getAttribute('data-key') ?? '';
    if (staying.has(key)) there.set(key, /** @type {E} */ (child));
    else child.remove();
  }
  for (const [place, item] of items.entries()) {
    const key = keys[place] ?? '';
    let element = there.get(key);
    if (element === undefined) {
      element = create(item);
      element.setAttribute('data-key', key);
    }
    // Only what is new or out of order: an element that is moved loses its focus.
    if (list.children[place] !== element) list.insertBefore(element, list.children[place] ?? null);
    update(element, item, place);
  }
}
