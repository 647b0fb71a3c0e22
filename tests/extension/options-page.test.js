import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { openPage, resetClock } from './support/page.js';
import { MISSING, VIEW } from './support/views.js';

/** @import { SettingInfo } from '../../extension/protocol.d.ts' */

/** @type {SettingInfo} */
const SETTING = { key: 'service_name', name: 'OTEL_SERVICE_NAME', meaning: 'Name of the `service`.', default: '`browser`', kind: 'text', choices: [], value: null, secret: false, source: 'default', stored: null };
const STARTING = /** @type {const} */ ({ state: 'starting', version: null, reason: null });

const TEXT = { ...SETTING, key: 'link', stored: 'old', source: 'file' };
const LIST = { ...SETTING, key: 'targets', kind: 'list' };
const SWITCH = { ...SETTING, key: 'random_flag', kind: 'switch', stored: true, source: 'file' };
const CHOICE = { ...SETTING, key: 'mode', kind: 'choice', choices: ['auto', 'detailed'] };
const SECRET = { ...SETTING, key: 'otel.exporter_otlp_headers', secret: true, source: 'file' };
const SETTINGS = [TEXT, LIST, SWITCH, CHOICE, SECRET];

beforeEach(resetClock);

/** Opens the page without a host yet. */
async function openBare() {
  const page = await openPage('options');
  const text = (/** @type {string} */ id) => page.find(id).textContent;
  const shown = (/** @type {string} */ id) => !page.find(id).hasAttribute('hidden') && page.find(id).hidden !== true;
  const control = (/** @type {string} */ key) => page.find(`setting-${key.replaceAll('.', '-')}`);
  /** Returns the field around a control. @param {string} key */
  const field = (key) => control(key).closest('.setting');
  const reset = (/** @type {string} */ key) => field(key).querySelector('button');
  const buttons = () => ['save', 'discard'].map((id) => !page.find(id).disabled);
  const error = (/** @type {string} */ key) => text(`setting-${key.replaceAll('.', '-')}-error`);
  const showHost = (/** @type {object} */ host = VIEW.host) => page.say({ ...VIEW, host });
  const showSettings = (/** @type {object[]} */ settings = SETTINGS, file = '/home/me/config.toml', exists = true) =>
    page.say({ type: 'settings', file, exists, settings });
  const submit = () => assert.equal(page.fire(page.find('settings'), 'submit'), false);
  return { ...page, text, shown, control, field, reset, buttons, error, showHost, showSettings, submit };
}

/** Opens the page with a host and its settings. */
async function open() {
  const page = await openBare();
  page.showHost();
  page.showSettings();
  return page;
}

test('the page connects, and asks a connected host for its settings', async () => {
  const { ports, commands, shown, showHost, find } = await openBare();
  assert.deepEqual(ports.map(({ name, sent }) => [name, sent]), [['options', [{ type: 'watch', tabId: null }]]]);
  showHost(STARTING);
  assert.deepEqual([commands(), shown('waiting'), shown('no-host'), find('fields').disabled], [[], true, false, false]);
  showHost();
  showHost();
  assert.deepEqual([commands(), shown('waiting')], [[{ type: 'settings' }], false]);
  showHost(STARTING);
  showHost();
  assert.equal(commands().length, 2, 'a new host is asked again');
});

test('the page says that there is no host', async () => {
  const { commands, text, shown, showHost, find } = await openBare();
  showHost(MISSING);
  assert.deepEqual([shown('no-host'), shown('waiting'), text('reason'), find('fields').disabled], [true, false, 'The browser says: not found', true]);
  find('reconnect').click();
  assert.deepEqual([commands(), text('result')], [[{ type: 'reconnect' }], 'Connecting to the host.']);
  showHost();
  assert.deepEqual([shown('no-host'), text('reason'), find('fields').disabled], [false, '', false]);
});

test('the page says where settings are saved', async () => {
  const { text, shown, showSettings } = await openBare();
  assert.deepEqual([shown('fields'), shown('buttons'), shown('file-line')], [false, false, false]);
  showSettings();
  assert.deepEqual([text('file'), text('file-note'), shown('file-line'), shown('fields'), shown('buttons')], ['/home/me/config.toml', '', true, true, true]);
  showSettings(SETTINGS, '/home/me/config.toml', false);
  assert.equal(text('file-note'), ', which is created when you save');
  showSettings(SETTINGS, /** @type {any} */ (null));
  assert.deepEqual([text('file'), shown('file-line')], ['', false]);
});

test('settings stand in groups', async () => {
  const { find, showSettings } = await open();
  showSettings();
  const groups = [...find('fields').children].map((section) => [section.id, section.className, section.getAttribute('aria-label'), section.querySelector('h2').textContent, section.querySelectorAll('.setting').length]);
  assert.deepEqual(groups, [
    ['group-what-is-traced', 'group', 'What is traced', 'What is traced', 1],
    ['group-traces', 'group', 'Traces', 'Traces', 2],
    ['group-export', 'group', 'Export', 'Export', 2],
  ]);
});

test('each kind of setting has its control', async () => {
  const { control } = await open();
  const options = (/** @type {string} */ key) => [...control(key).options].map(({ value, text }) => [value, text]);
  assert.deepEqual(options('random_flag'), [['', 'default'], ['on', 'on'], ['off', 'off']]);
  assert.deepEqual(options('mode'), [['', 'default'], ['auto', 'auto'], ['detailed', 'detailed']]);
  assert.deepEqual(['link', 'targets', 'random_flag', 'mode'].map((key) => [control(key).tagName, control(key).value]), [['INPUT', 'old'], ['TEXTAREA', ''], ['SELECT', 'on'], ['SELECT', '']]);
  assert.equal(control('targets').getAttribute('rows'), '2');
  for (const key of ['link', 'targets']) assert.deepEqual([control(key).spellcheck, control(key).autocomplete], [false, 'off']);
});

test('a field names and explains its setting', async () => {
  const { find, field, control, reset } = await open();
  const key = 'otel.exporter_otlp_headers';
  const label = field(key).querySelector('label');
  assert.deepEqual([label.textContent, label.htmlFor, label.title], [key, control(key).id, 'OTEL_SERVICE_NAME']);
  assert.equal(label.innerHTML, ['otel.', 'exporter_', 'otlp_', 'headers'].map((word) => `${word}<wbr>`).join(''));
  const id = 'setting-otel-exporter_otlp_headers';
  assert.equal(control(key).getAttribute('aria-describedby'), `${id}-error ${id}-meaning ${id}-source`);
  assert.deepEqual([find(`${id}-error`).className, find(`${id}-error`).getAttribute('role')], ['error', 'alert']);
  assert.deepEqual([find(`${id}-meaning`).className, find(`${id}-meaning`).innerHTML], ['meaning', 'Name of the <code>service</code>.']);
  assert.deepEqual([find(`${id}-source`).className, find(`${id}-source`).textContent], ['source', 'In use: a secret value, which is not shown, set in the file. Default: browser.']);
  assert.deepEqual([reset(key).type, reset(key).textContent, reset(key).getAttribute('aria-label')], ['button', 'Back to default', `Back to default: ${key}`]);
  assert.deepEqual([...field(key).querySelector('.line').children], [control(key), reset(key)]);
});

test('placeholders are the default, or say that a secret is kept', async () => {
  const { control } = await open();
  const placeholder = (/** @type {string} */ key) => control(key).getAttribute('placeholder');
  assert.deepEqual(['link', 'targets', 'otel.exporter_otlp_headers', 'mode'].map(placeholder), ['browser', 'browser', 'saved, but not shown', null]);
});

test('a value that the environment overrides is marked', async () => {
  const { find, showSettings } = await open();
  const isMarked = () => find('setting-link-source').classList.contains('overridden');
  assert.equal(isMarked(), false);
  showSettings([{ ...TEXT, source: 'environment', value: 'new' }]);
  assert.equal(isMarked(), true);
});

test('a value that is not among the choices is shown', async () => {
  const { control, showSettings, field } = await open();
  showSettings([{ ...CHOICE, stored: 'wrong', source: 'file' }]);
  assert.equal(control('mode').value, 'wrong');
  assert.deepEqual([...control('mode').options].map(({ value, text }) => [value, text]).at(-1), ['wrong', 'wrong']);
  assert.equal(field('mode').classList.contains('changed'), false);
});

test('only settings that were changed can be saved', async () => {
  const { control, field, type, buttons, text, showHost, submit, commands } = await open();
  assert.deepEqual([buttons(), text('changed')], [[false, false], '']);
  submit();
  type(control('link'), ' old ');
  assert.deepEqual(buttons(), [false, false], 'white space is no change');
  type(control('link'), 'new');
  assert.deepEqual([buttons(), text('changed'), field('link').classList.contains('changed')], [[true, true], '1 setting changed', true]);
  type(control('targets'), 'https://a.test/*');
  assert.equal(text('changed'), '2 settings changed');
  showHost(STARTING);
  assert.deepEqual(buttons(), [false, true]);
  submit();
  assert.deepEqual(commands(), [{ type: 'settings' }]);
});

test('nothing is sent before there are settings', async () => {
  const { find, submit, commands } = await openBare();
  find('save').disabled = false;
  submit();
  assert.deepEqual(commands(), []);
});

test('changed settings are sent, and buttons wait for the answer', async () => {
  const page = await open();
  const { control, type, buttons, text, submit, commands, say, showSettings } = page;
  type(control('link'), 'new');
  type(control('targets'), 'a\nb');
  submit();
  const values = { link: 'new', targets: ['a', 'b'] };
  assert.deepEqual([commands().slice(1), buttons()], [[{ type: 'store', values }], [false, false]]);
  submit();
  assert.equal(commands().length, 2, 'not twice');
  type(control('mode'), 'auto');
  assert.deepEqual(buttons(), [false, false]);
  say({ type: 'stored' });
  assert.deepEqual([text('result'), buttons(), page.find('result').classList.contains('error')], ['Saved: link, targets.', [true, true], false]);
  showSettings(SETTINGS.map((setting) => ({ ...setting, stored: /** @type {any} */ (values)[setting.key] ?? setting.stored })));
  assert.deepEqual([control('link').value, control('targets').value, control('mode').value], ['new', 'a\nb', '']);
  assert.deepEqual([buttons(), text('changed')], [[false, false], '']);
});

test('after a save the fields show what the host stored', async () => {
  const { control, type, submit, say, showSettings } = await open();
  type(control('link'), 'new');
  submit();
  say({ type: 'stored' });
  showSettings(SETTINGS.map((setting) => (setting === TEXT ? { ...TEXT, stored: 'New' } : setting)));
  assert.equal(control('link').value, 'New');
  type(control('link'), 'typed');
  showSettings();
  assert.equal(control('link').value, 'typed', 'later settings leave what is typed');
});

test('fields that were not changed follow the file', async () => {
  const { control, showSettings } = await open();
  showSettings([{ ...TEXT, stored: 'other' }]);
  assert.equal(control('link').value, 'other');
});

test('changes are discarded', async () => {
  const page = await open();
  const { control, type, buttons, text, find, error } = page;
  type(control('link'), 'new');
  page.submit();
  page.say({ type: 'refused', command: 'store', message: 'link is wrong' });
  find('discard').click();
  assert.deepEqual([control('link').value, error('link'), buttons(), text('result')], ['old', '', [false, false], 'Changes discarded.']);
});

test('discarding without settings does nothing', async () => {
  const { fire, find, text } = await openBare();
  fire(find('discard'), 'click');
  assert.equal(text('result'), 'Changes discarded.');
});

test('a refusal that names a setting is shown beside it', async () => {
  const page = await open();
  const { document, control, type, buttons, text, error } = page;
  type(control('link'), 'new');
  type(control('targets'), 'x');
  page.submit();
  page.say({ type: 'refused', command: 'store', message: 'link is wrong' });
  assert.deepEqual([error('link'), control('link').getAttribute('aria-invalid'), error('targets')], ['link is wrong', 'true', '']);
  assert.equal(document.activeElement, control('link'));
  assert.deepEqual([text('result'), page.find('result').classList.contains('error'), buttons()], ['Nothing was saved.', true, [true, true]]);
  type(control('link'), 'newer');
  assert.deepEqual([error('link'), control('link').getAttribute('aria-invalid')], ['', null]);
  page.submit();
  assert.deepEqual([text('result'), page.find('result').classList.contains('error')], ['', false]);
});

test('errors of an earlier try are removed by the next', async () => {
  const page = await open();
  page.type(page.control('link'), 'new');
  page.submit();
  page.say({ type: 'refused', command: 'store', message: 'link is wrong' });
  page.submit();
  assert.equal(page.error('link'), '');
});

test('other refusals are shown at the button', async () => {
  const page = await open();
  page.type(page.control('link'), 'new');
  page.submit();
  page.say({ type: 'refused', command: 'store', message: 'the disk is full' });
  assert.deepEqual([page.text('result'), page.error('link'), page.buttons()], ['the disk is full', '', [true, true]]);
  page.say({ type: 'refused', command: 'settings', message: 'link cannot be read' });
  assert.deepEqual([page.text('result'), page.error('link')], ['link cannot be read', ''], 'nothing was sent');
  page.say({ type: 'refused', command: 'watch', message: 'x' });
  assert.equal(page.text('result'), 'link cannot be read');
});

test('a refusal before there are settings is shown', async () => {
  const page = await openBare();
  page.say({ type: 'refused', command: 'settings', message: 'no' });
  assert.equal(page.text('result'), 'no');
});

test('a host that goes while it saves is reported', async () => {
  const page = await open();
  page.type(page.control('link'), 'new');
  page.submit();
  page.showHost(MISSING);
  assert.deepEqual([page.text('result'), page.find('result').classList.contains('error')], ['Nothing was saved: the host has disconnected.', true]);
  page.showHost();
  assert.deepEqual(page.buttons(), [true, true]);
});

test('a host that goes without a save is no failure', async () => {
  const page = await open();
  page.showHost(MISSING);
  assert.equal(page.text('result'), '');
});

test('a save that nobody sent names nothing', async () => {
  const page = await open();
  page.say({ type: 'stored' });
  assert.equal(page.text('result'), 'Saved: .');
});

test('a setting goes back to its default', async () => {
  const page = await open();
  const { document, control, reset } = page;
  assert.deepEqual(['link', 'targets', 'random_flag', 'mode'].map((key) => reset(key).hidden), [false, true, false, true]);
  reset('link').click();
  assert.deepEqual([control('link').value, document.activeElement === control('link'), reset('link').hidden, page.text('changed')], ['', true, true, '1 setting changed']);
  page.type(control('link'), '  ');
  assert.equal(reset('link').hidden, true);
  page.submit();
  assert.deepEqual(page.commands().at(-1), { type: 'store', values: { link: null } });
});

test('a secret value is removed only when that is asked for', async () => {
  const key = 'otel.exporter_otlp_headers';
  const page = await open();
  const { control, reset } = page;
  const placeholder = () => control(key).getAttribute('placeholder');
  assert.deepEqual([reset(key).hidden, page.buttons()], [false, [false, false]]);
  reset(key).click();
  assert.deepEqual([placeholder(), reset(key).hidden, page.text('changed')], ['will be removed', true, '1 setting changed']);
  page.type(control(key), '');
  assert.deepEqual([placeholder(), reset(key).hidden, page.text('changed')], ['saved, but not shown', false, ''], 'typing takes it back');
  reset(key).click();
  page.showSettings();
  assert.equal(placeholder(), 'will be removed', 'settings that are shown again leave it');
  page.submit();
  assert.deepEqual(page.commands().at(-1), { type: 'store', values: { [key]: null } });
  page.say({ type: 'stored' });
  page.showSettings(SETTINGS.map((setting) => (setting === SECRET ? { ...SECRET, source: 'default' } : setting)));
  assert.deepEqual([placeholder(), reset(key).hidden, page.text('changed')], ['browser', true, '']);
});

test('a secret of the environment is not the file’s', async () => {
  const key = 'otel.exporter_otlp_headers';
  const page = await open();
  page.showSettings([{ ...SECRET, source: 'environment' }, { ...TEXT, source: 'file' }]);
  assert.deepEqual([page.control(key).getAttribute('placeholder'), page.reset(key).hidden, page.control('link').getAttribute('placeholder')], ['browser', true, 'browser']);
  page.reset(key).click();
  assert.equal(page.text('changed'), '');
});

test('the same report is announced again', async () => {
  const page = await open();
  page.find('discard').disabled = false;
  page.find('discard').click();
  page.find('discard').disabled = false;
  page.find('discard').click();
  assert.equal(page.text('result'), 'Changes discarded.\u00a0');
});
