/**
 * Groups the settings and converts their values for the options page. Pure.
 */

/** @import { SettingInfo } from '../protocol.d.ts' */
/** @typedef {SettingInfo['stored']} StoredValue */

/** The titles of the groups in order, each with its keys. The last group takes all other keys. @type {[string, RegExp][]} */
const GROUPS = [
  ['What is traced', /^(targets|exclude|redact|incognito)$/],
  ['Traces', /^(mode|scope|existing|id_format|random_flag|sample_per|traceparent|tracestate|baggage|otel\.propagators|otel\.traces_sampler(_arg)?)$/],
  ['Export', /^otel\.(traces_exporter|sdk_disabled|service_name|resource_attributes|exporter_otlp_)|^link$/],
  ['Batches', /^otel\./],
  ['Browser and navtrace itself', /^/],
];

/**
 * Puts settings into groups, in their order. Leaves out empty groups.
 *
 * @param {SettingInfo[]} settings
 * @returns {{ title: string, settings: SettingInfo[] }[]}
 */
export function groupsOf(settings) {
  /** @type {Map<string, SettingInfo[]>} */
  const groups = new Map(GROUPS.map(([title]) => [title, []]));
  for (const setting of settings) {
    const [title = ''] = GROUPS.find(([, keys]) => keys.test(setting.key)) ?? [];
    groups.get(title)?.push(setting);
  }
  return [...groups].map(([title, members]) => ({ title, settings: members })).filter((group) => group.settings.length > 0);
}

/**
 * Describes where the value in use comes from, and whether it overrides the one in the file.
 *
 * @param {SettingInfo} setting
 * @returns {{ text: string, overridden: boolean }}
 */
export function sourceOf({ source, stored, value, secret, name, default: fallback }) {
  const shown = secret ? 'a secret value, which is not shown' : `\`${value ?? 'none'}\``;
  const from = { default: null, file: null, environment: `the environment variable ${name}`, flag: 'a command-line option' }[source];
  if (from !== null) {
    const overridden = stored !== null;
    return { text: `In use: ${shown}, set by ${from}, which overrides ${overridden ? 'the value in the file' : 'the file'}.`, overridden };
  }
  const text = `Default: ${fallback}.`;
  if (source !== 'file') return { text, overridden: false };
  return { text: secret ? `In use: ${shown}, set in the file. ${text}` : `Set in the file. ${text}`, overridden: false };
}

/**
 * Converts a stored value to the text of its control.
 *
 * @param {SettingInfo} setting
 * @returns {string} empty if nothing is stored
 */
export function controlText({ kind, stored }) {
  if (stored === null) return '';
  if (Array.isArray(stored)) return stored.join(kind === 'list' ? '\n' : ',');
  if (kind === 'switch') return stored === true || stored === 'on' || stored === 'true' ? 'on' : 'off';
  if (kind === 'list') return String(stored).split(',').map((part) => part.trim()).join('\n');
  return String(stored);
}

/**
 * Converts the text of a control to the value to store.
 *
 * @param {SettingInfo['kind']} kind
 * @param {string} text
 * @returns {StoredValue} null for an empty text, which removes the key
 */
export function storedAs(kind, text) {
  if (kind === 'list') {
    const parts = text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
    return parts.length === 0 ? null : parts;
  }
  const trimmed = text.trim();
  if (trimmed === '') return null;
  return kind === 'switch' ? trimmed === 'on' : trimmed;
}

/**
 * Returns the values to store for the controls that differ from what is stored.
 *
 * @param {SettingInfo[]} settings
 * @param {(key: string) => string | null} textOf returns the text of a setting's control, or null to remove its key
 * @returns {Record<string, StoredValue>} by key
 */
export function changes(settings, textOf) {
  /** @type {Record<string, StoredValue>} */
  const values = {};
  for (const setting of settings) {
    const text = textOf(setting.key);
    if (text === null) values[setting.key] = null;
    else if (text.trim() !== controlText(setting).trim()) values[setting.key] = storedAs(setting.kind, text);
  }
  return values;
}

/**
 * Finds the setting that a refusal names, by its key or environment variable.
 *
 * @param {SettingInfo[]} settings
 * @param {string[]} sent the keys that were sent
 * @param {string} message
 * @returns {string | null} its key
 */
export function refusedKey(settings, sent, message) {
  const found = settings
    .filter(({ key }) => sent.includes(key))
    .flatMap(({ key, name }) => [key, name].map((word) => ({ key, word })))
    // The longest first, because one name may begin with another.
    .sort((a, b) => b.word.length - a.word.length)
    .find(({ word }) => new RegExp(`(^|[^\\w.])${word.replace(/[.]/g, '\\.')}($|[^\\w.]|\\.($|\\s))`).test(message));
  return found?.key ?? null;
}
