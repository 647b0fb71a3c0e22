import assert from 'node:assert/strict';
import { test } from 'node:test';

import { changes, controlText, groupsOf, refusedKey, sourceOf, storedAs } from '../../extension/options/settings.js';

/** @import { SettingInfo } from '../../extension/protocol.d.ts' */

/** @type {SettingInfo} */
const SETTING = { key: 'mode', name: 'NAVTRACE_MODE', meaning: '', default: 'auto', kind: 'choice', choices: ['auto', 'detailed'], value: 'auto', secret: false, source: 'default', stored: null };

/** @param {string} key @param {Partial<SettingInfo>} [more] @returns {SettingInfo} */
const setting = (key, more) => ({ ...SETTING, key, name: `NAVTRACE_${key.toUpperCase()}`, kind: 'text', ...more });

test('each setting is in exactly one group', () => {
  const keys = ['browser', 'mode', 'link', 'targets', 'exclude', 'otel.propagators', 'otel.exporter_otlp_traces_endpoint', 'otel.bsp_schedule_delay', 'something_new'];
  const groups = groupsOf(keys.map((key) => setting(key))).map(({ title, settings }) => [title, settings.map(({ key }) => key)]);
  assert.deepEqual(groups, [
    ['What is traced', ['targets', 'exclude']],
    ['Traces', ['mode', 'otel.propagators']],
    ['Export', ['link', 'otel.exporter_otlp_traces_endpoint']],
    ['Batches', ['otel.bsp_schedule_delay']],
    ['Browser and navtrace itself', ['browser', 'something_new']],
  ]);
  assert.deepEqual(groupsOf([]), []);
});

for (const [what, more, text, overridden] of /** @type {[string, Partial<SettingInfo>, string, boolean][]} */ ([
  ['a default', {}, 'Default: auto.', false],
  ['a value in the file', { source: 'file', stored: 'detailed', value: 'detailed' }, 'Set in the file. Default: auto.', false],
  ['a value in the environment', { source: 'environment', value: 'detailed' }, 'In use: `detailed`, set by the environment variable NAVTRACE_MODE, which overrides the file.', false],
  ['an overridden value', { source: 'environment', value: 'detailed', stored: 'auto' }, 'In use: `detailed`, set by the environment variable NAVTRACE_MODE, which overrides the value in the file.', true],
  ['a command-line option', { source: 'flag', value: 'auto', stored: 'detailed' }, 'In use: `auto`, set by a command-line option, which overrides the value in the file.', true],
  ['a secret in the file', { source: 'file', value: null, secret: true }, 'In use: a secret value, which is not shown, set in the file. Default: auto.', false],
  ['a secret in the environment', { source: 'environment', value: null, secret: true }, 'In use: a secret value, which is not shown, set by the environment variable NAVTRACE_MODE, which overrides the file.', false],
])) {
  test(`describes the source of ${what}`, () => assert.deepEqual(sourceOf({ ...SETTING, ...more }), { text, overridden }));
}

for (const [kind, stored, text] of /** @type {[SettingInfo['kind'], SettingInfo['stored'], string][]} */ ([
  ['text', null, ''],
  ['text', 'a, b', 'a, b'],
  ['text', ['a', 'b'], 'a,b'],
  ['list', ['a', 'b'], 'a\nb'],
  ['list', 'a, b', 'a\nb'],
  ['switch', true, 'on'],
  ['switch', 'on', 'on'],
  ['switch', 'true', 'on'],
  ['switch', false, 'off'],
  ['switch', null, ''],
  ['choice', 'auto', 'auto'],
])) {
  test(`the control text of the ${kind} ${JSON.stringify(stored)}`, () => assert.equal(controlText({ ...SETTING, kind, stored }), text));
}

test('the text of a control is stored as its kind requires', () => {
  assert.deepEqual(storedAs('list', ' a \n\nb'), ['a', 'b']);
  assert.equal(storedAs('list', '\n'), null);
  assert.equal(storedAs('text', ' a '), 'a');
  assert.equal(storedAs('text', ' '), null);
  assert.deepEqual([storedAs('switch', 'on'), storedAs('switch', 'off'), storedAs('switch', '')], [true, false, null]);
  assert.equal(storedAs('choice', 'auto'), 'auto');
});

test('only changed settings are stored', () => {
  const settings = [
    setting('a', { stored: 'old' }),
    setting('b', { stored: 'old' }),
    setting('c', { stored: 'old' }),
    setting('d'),
    setting('e', { kind: 'list', stored: ['x', 'y'] }),
    setting('f', { secret: true, source: 'file' }),
    setting('g', { secret: true, source: 'file' }),
  ];
  /** @type {Record<string, string | null>} */
  const texts = { a: 'old ', b: 'new', c: '', d: '', e: 'x\ny\n', f: '', g: null };
  assert.deepEqual(changes(settings, (key) => texts[key] ?? null), { b: 'new', c: null, g: null });
});

test('a refusal is matched to the setting that it names', () => {
  const settings = ['mode', 'link', 'otel.service_name', 'otel.exporter_otlp_endpoint'].map((key) => setting(key));
  const all = settings.map(({ key }) => key);
  assert.equal(refusedKey(settings, all, 'link can’t be used: it must hold {trace_id}'), 'link');
  assert.equal(refusedKey(settings, all, 'NAVTRACE_MODE=fast: expected auto'), 'mode');
  assert.equal(refusedKey(settings, all, 'otel.service_name: expected a text, not a mode'), 'otel.service_name');
  assert.equal(refusedKey(settings, all, 'config.toml can’t be written'), null);
  assert.equal(refusedKey(settings, ['link'], '/home/me/config.toml can’t be written'), null);
  assert.equal(refusedKey(settings, [], 'link: no'), null);
});
