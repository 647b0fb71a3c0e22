import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { ChoicesForm } from '../../extension/popup/choices.js';
import { makePage, resetClock } from './support/page.js';
import { MISSING, VIEW } from './support/views.js';

/** @import { View } from '../../extension/pages/messages.js' */

const CONFIGURED = { ratio: 1, parentBased: true, targets: [], exclude: [], resources: ['calls', 'image'] };
const NONE = { ratio: null, targets: null, resources: null };

beforeEach(resetClock);

/** Shows the form for a choice. @param {Partial<View['chosen']>} [chosen] @param {Partial<View['configured']>} [configured] */
function shown(chosen, configured) {
  const page = makePage('popup');
  /** @type {any[]} */
  const sent = [];
  const form = new ChoicesForm((command) => void sent.push(command));
  /** @param {Partial<View['chosen']>} [next] @param {Partial<View>} [more] */
  const show = (next, more) => form.show({ ...VIEW, configured: { ...CONFIGURED, ...configured }, chosen: { ...NONE, ...next }, ...more });
  show(chosen);
  const value = (/** @type {string} */ id) => page.find(id).value;
  const text = (/** @type {string} */ id) => page.find(id).textContent;
  /** Returns the error of a field, and whether each of its inputs is marked. @param {string} field @param {...string} ids */
  const error = (field, ...ids) => [text(`${field}-error`), ...ids.map((id) => page.find(id).getAttribute('aria-invalid') === 'true')];
  /** Submits a form, which must not load another page. @param {string} id */
  const submit = (id) => assert.equal(page.fire(page.find(id), 'submit'), false);
  return { ...page, sent, form, show, value, text, error, submit };
}

test('the form offers all requests, calls, and what is configured', () => {
  const { find, text } = shown();
  assert.deepEqual([...find('resources').options].map((option) => option.value), ['', 'all', 'calls']);
  assert.equal(text('resources-configured'), 'As configured (calls, image)');
});

test('the form is disabled without a host', () => {
  const { find, text, show } = shown();
  assert.deepEqual([find('choices').disabled, text('choices-why')], [false, '']);
  show({}, { host: MISSING });
  assert.deepEqual([find('choices').disabled, text('choices-why')], [true, 'You can change these when the host is connected.']);
});

test('the form says what is in force and what is configured', () => {
  const { find, text } = shown({ ratio: 0.1 }, { ratio: 0.5, targets: ['https://a.test/*', 'https://b.test/*'], exclude: ['https://c.test/*', 'https://d.test/*'] });
  assert.equal(text('choice'), '10%, 2 targets, calls, image');
  assert.equal(text('as-configured'), 'As configured (50%)');
  assert.equal(find('targets').getAttribute('placeholder'), 'https://a.test/*\nhttps://b.test/*');
  assert.equal(text('exclude-note'), 'Always excluded: https://c.test/*, https://d.test/*');
});

test('the form says what no setting limits', () => {
  const { find, text } = shown();
  assert.deepEqual([find('targets').getAttribute('placeholder'), text('exclude-note')], ['all addresses', '']);
});

test('the note on sampling tells of traces that are continued', () => {
  const note = 'Applies to new traces: press “New trace” to start one.';
  assert.equal(shown({}, { parentBased: false }).text('sampling-note'), note);
  assert.equal(shown({}, { parentBased: true }).text('sampling-note'), `${note} A trace that continues another one keeps its sampling decision.`);
});

for (const [ratio, selected, percentage] of /** @type {[number | null, string, string | null][]} */ ([
  [null, '', null],
  [1, '1', null],
  [0.1, '0.1', null],
  [0.01, '0.01', null],
  [0.07, 'own', '7'],
])) {
  test(`the ratio ${ratio} is shown`, () => {
    const { find, value } = shown({ ratio });
    assert.deepEqual([value('sampling'), find('own-line').hidden ? null : value('own')], [selected, percentage]);
  });
}

test('a ratio of the list is sent at once', () => {
  const { find, type, sent } = shown({ ratio: 0.07, targets: ['x'], resources: ['all'] });
  for (const value of ['0.01', '']) type(find('sampling'), value);
  assert.deepEqual(sent, [0.01, null].map((ratio) => ({ type: 'choose', ratio, targets: ['x'], resources: ['all'] })));
  assert.equal(find('own-line').hidden, true);
});

test('another ratio is typed', () => {
  const { document, find, type, sent, submit, show, value, error } = shown();
  type(find('sampling'), 'own');
  assert.deepEqual([find('own-line').hidden, document.activeElement === find('own'), sent], [false, true, []]);
  show({});
  assert.deepEqual([value('sampling'), find('own-line').hidden], ['own', false], 'it stays open');
  type(find('own'), '101');
  submit('ratio-form');
  assert.deepEqual([sent, ...error('sampling', 'sampling', 'own')], [[], 'Enter a number from 0 to 100.', true, true]);
  assert.deepEqual(error('targets', 'targets'), ['', false]);
  type(find('own'), '2.5');
  assert.deepEqual(error('sampling', 'sampling', 'own'), ['', false, false]);
  submit('ratio-form');
  assert.deepEqual(sent, [{ type: 'choose', ratio: 0.025, targets: null, resources: null }]);
  find('targets').focus();
  show({ ratio: 0.03 });
  assert.equal(value('own'), '3', 'what was sent is followed again');
});

test('a percentage that is being typed stays', () => {
  const { find, type, show, value } = shown({ ratio: 0.07 });
  type(find('own'), '8');
  show({ ratio: 0.07 });
  assert.equal(value('own'), '8');
});

test('controls with the focus stay as they are', () => {
  const { find, show, value } = shown({ ratio: 0.07, resources: ['all'], targets: ['a'] });
  find('own').focus();
  show({ ratio: 0.08, resources: ['all'], targets: ['a'] });
  assert.equal(value('own'), '7');
  find('sampling').focus();
  show({ ratio: 1, resources: ['all'], targets: ['a'] });
  assert.deepEqual([value('sampling'), find('own-line').hidden], ['own', false]);
  find('resources').focus();
  show({ ratio: 1, resources: ['calls'], targets: ['a'] });
  assert.deepEqual([value('resources'), value('sampling')], ['all', '1']);
  find('targets').focus();
  show({ targets: ['b'] });
  assert.deepEqual([value('targets'), value('resources')], ['a', '']);
  find('own').focus();
  show({ targets: ['b'] });
  assert.equal(value('targets'), 'b');
});

test('the choice of resources is shown', () => {
  const { value, show } = shown({ resources: ['calls'] });
  assert.equal(value('resources'), 'calls');
  show({});
  assert.equal(value('resources'), '');
});

test('a choice of resources is sent with the other choices', () => {
  const { find, type, sent } = shown({ ratio: 0.5 });
  for (const value of ['calls', 'all', '']) type(find('resources'), value);
  assert.deepEqual(sent, [['calls'], ['all'], null].map((resources) => ({ type: 'choose', ratio: 0.5, targets: null, resources })));
});

test('a refused choice of resources is shown beside it', () => {
  const { find, type, form, error } = shown();
  type(find('resources'), 'calls');
  form.refuse('no');
  assert.deepEqual(error('resources', 'resources', 'sampling', 'targets'), ['no', true, false, false]);
  type(find('resources'), 'all');
  assert.deepEqual(error('resources', 'resources'), ['', false]);
});

test('targets are sent as lines', () => {
  const { find, type, sent, submit } = shown({ ratio: 0.5 });
  type(find('targets'), ' https://a.test/* \n\nhttps://b.test/*');
  assert.deepEqual(sent, []);
  submit('targets-form');
  type(find('targets'), ' \n');
  submit('targets-form');
  assert.deepEqual(sent, [['https://a.test/*', 'https://b.test/*'], null].map((targets) => ({ type: 'choose', ratio: 0.5, targets, resources: null })));
});

test('targets go back to what is configured', () => {
  const { find, sent, value } = shown({ targets: ['a', 'b'] });
  assert.equal(value('targets'), 'a\nb');
  find('targets-reset').click();
  assert.deepEqual([sent, value('targets')], [[{ type: 'choose', ...NONE }], '']);
});

test('targets that were changed stay until they are sent', () => {
  const { find, type, show, submit, value } = shown({ targets: ['a'] });
  type(find('targets'), 'b');
  show({ targets: ['a'] });
  assert.equal(value('targets'), 'b');
  submit('targets-form');
  show({ targets: ['c'] });
  assert.equal(value('targets'), 'c');
});

test('targets that stay are not written again', () => {
  const { find, show } = shown({ targets: ['a'] });
  /** @type {string[]} */
  const written = [];
  Object.defineProperty(find('targets'), 'value', {
    get: () => 'a',
    set(/** @type {string} */ text) {
      written.push(text);
    },
  });
  show({ targets: ['a'] });
  assert.deepEqual(written, []);
});

test('refused targets stay to be corrected', () => {
  const { find, type, show, submit, form, error, value } = shown();
  type(find('targets'), 'b');
  submit('targets-form');
  form.refuse('no pattern');
  show({});
  assert.deepEqual([value('targets'), ...error('targets', 'targets', 'sampling')], ['b', 'no pattern', true, false]);
  type(find('targets'), 'c');
  assert.deepEqual(error('targets', 'targets'), ['', false]);
});

test('a choice builds on the one before, also before it is answered', () => {
  const { find, type, sent } = shown();
  type(find('sampling'), '0.1');
  type(find('resources'), 'calls');
  assert.deepEqual(sent.at(-1), { type: 'choose', ratio: 0.1, targets: null, resources: ['calls'] });
});
