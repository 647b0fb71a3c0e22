import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { announce, byId, counted, make, reconcile, setAttribute, setProse, setShown, setText } from '../../extension/ui/dom.js';
import { makeDocument } from './support/page.js';

/** @type {ReturnType<typeof makeDocument>} */
let page;

beforeEach(() => {
  page = makeDocument('<p id="text">a</p><ul id="list"></ul>');
});

/** Counts the changes that a call makes. @param {() => void} call */
function changesOf(call) {
  const observer = new page.window.MutationObserver(() => {});
  observer.observe(page.document, { subtree: true, childList: true, attributes: true, characterData: true });
  call();
  return observer.takeRecords().length;
}

test('an element is found by its id and type', () => {
  assert.equal(byId('text', HTMLElement), page.find('text'));
  assert.throws(() => byId('text', HTMLButtonElement), { message: 'the page has no HTMLButtonElement #text' });
  assert.throws(() => byId('nothing', HTMLElement), { message: 'the page has no HTMLElement #nothing' });
});

test('an element is made with a class and a text', () => {
  assert.equal(make('p', 'a b', '<i>').outerHTML, '<p class="a b">&lt;i&gt;</p>');
  assert.equal(make('p').outerHTML, '<p></p>');
});

test('a text or attribute that stays is not touched', () => {
  const text = page.find('text');
  assert.equal(changesOf(() => setText(text, 'a')), 0);
  assert.ok(changesOf(() => setText(text, 'b')) > 0);
  setAttribute(text, 'title', 'x');
  assert.equal(changesOf(() => setAttribute(text, 'title', 'x')), 0);
  assert.equal(text.outerHTML, '<p id="text" title="x">b</p>');
  setAttribute(text, 'title', null);
  assert.equal(text.hasAttribute('title'), false);
});

test('an element is hidden and shown', () => {
  const text = page.find('text');
  setShown(text, false);
  assert.equal(text.getAttribute('hidden'), '');
  setShown(text, true);
  assert.equal(text.hasAttribute('hidden'), false);
});

test('a text is announced again when it is the same', () => {
  const text = page.find('text');
  announce(text, 'b');
  assert.equal(text.textContent, 'b');
  announce(text, 'b');
  assert.equal(text.textContent, 'b\u00a0');
  announce(text, 'b');
  assert.equal(text.textContent, 'b');
  announce(text, '');
  announce(text, '');
  assert.equal(text.textContent, '');
});

test('backticks mark code', () => {
  const text = page.find('text');
  setProse(text, 'run `a <b>` or `c`');
  assert.equal(text.innerHTML, 'run <code>a &lt;b&gt;</code> or <code>c</code>');
  assert.equal(changesOf(() => setProse(text, 'run `a <b>` or `c`')), 0);
  setProse(text, 'run');
  assert.equal(text.innerHTML, 'run');
});

test('a list keeps the elements of items that stay', () => {
  const list = page.find('list');
  const show = (/** @type {string[]} */ ...items) =>
    reconcile(list, items, (item) => item, () => make('li'), (element, item, index) => setText(element, `${index} ${item}`));
  const texts = () => [...list.children].map(({ textContent }) => textContent);
  const elementOf = (/** @type {string} */ key) => [...list.children].find((element) => element.getAttribute('data-key') === key);
  show('a', 'b', 'c');
  assert.deepEqual(texts(), ['0 a', '1 b', '2 c']);
  const [a, b] = [elementOf('a'), elementOf('b')];
  assert.equal(changesOf(() => show('a', 'b', 'c')), 0, 'nothing moves');
  show('d', 'b', 'a');
  assert.deepEqual(texts(), ['0 d', '1 b', '2 a']);
  assert.deepEqual([elementOf('a') === a, elementOf('b') === b], [true, true]);
  show('b');
  assert.deepEqual([texts(), elementOf('b') === b], [['0 b'], true]);
});

test('a list without an update only creates and removes', () => {
  const list = page.find('list');
  list.innerHTML = '<li>unknown</li>';
  reconcile(list, ['x'], (item) => item, (item) => make('li', '', item));
  assert.deepEqual([...list.children].map(({ textContent }) => textContent), ['x']);
});

test('a count has its noun in the right number', () => {
  assert.deepEqual([0, 1, 1234].map((amount) => counted(amount, 'span')), ['0 spans', '1 span', '1,234 spans']);
});
