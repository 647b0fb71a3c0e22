/**
 * The settings in groups, and what is said of each: pure functions.
 */

/** @typedef {import('../control/view.d.ts').SettingView} SettingView */
/** @typedef {SettingView['stored']} Stored */

/** What a key is told by, for each group in order. The last one takes all. @type {[string, RegExp][]} */
const GROUPS = [
  ['Who gets headers', /^(targets|exclude)$/],
  ['Traces', /^(mode|scope|existing|id_format|random_flag|sample_per|traceparent|tracestate|baggage|otel\.propagators|otel\.traces_sampler(_arg)?)$/],
  ['Export', /^otel\.(traces_exporter|sdk_disabled|service_name|resource_attributes|exporter_otlp_)|^link$/],
  ['Batches and limits', /^otel\./],
  ['Browser and navtrace itself', /^/],
];

/**
 * Puts settings into groups, in the order in which they are told. Groups that have none are left out.
 *
 * @param {SettingView[]} settings
 * @returns {{ title: string, settings: SettingView[] }[]}
 */
export function groupsOf(settings) {
  /** @type {Map<string, SettingView[]>} */
  const groups = new Map(GROUPS.map(([title]) => [title, []]));
  for (const setting of settings) {
    const [title] = GROUPS.find(([, keys]) => keys.test(setting.key)) ?? [];
    if (title !== undefined) groups.get(title)?.push(setting);
  }
  return [...groups].map(([title, of]) => ({ title, settings: of })).filter((group) => group.settings.length > 0);
}

/**
 * Says where the value in force is from, and when what is stored is not in force.
 *
 * @param {SettingView} setting
 * @returns {{ text: string, overridden: boolean }}
 */
export function sourceOf({ source, stored, value, secret, name, default: byDefault }) {
  const from = { environment: `from the environment (${name})`, flag: 'from an option of navtrace' }[source];
  const shown = secret ? 'a secret that is not shown' : `\`${value ?? 'none'}\``;
  if (from !== undefined) {
    const tail = stored === null ? '. It wins over the file.' : ': it wins over what the file says.';
    return { text: `In force: ${shown}, ${from}${tail}`, overridden: stored !== null };
  }
  const otherwise = `Default: ${byDefault}.`;
  if (source !== 'file') return { text: otherwise, overridden: false };
  return { text: secret ? `In force: ${shown}, from the file. ${otherwise}` : `From the file. ${otherwise}`, overridden: false };
}

/**
 * What is stored as the text of a control.
 *
 * @param {SettingView} setting
 * @returns {string} empty where nothing is stored
 */
export function controlText({ kind, stored }) {
  if (stored === null) return '';
  if (Array.isArray(stored)) return kind === 'list' ? stored.join('\n') : stored.join(',');
  if (kind === 'switch') return stored === true || stored === 'on' || stored === 'true' ? 'on' : 'off';
  if (kind === 'list') return String(stored).split(',').map((part) => part.trim()).join('\n');
  return String(stored);
}

/**
 * What a control's text is to be stored as.
 *
 * @param {SettingView['kind']} kind
 * @param {string} text
 * @returns {Stored} null, which removes the key, for an empty text
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
 * What has changed: by key, the value that is to be stored.
 *
 * @param {SettingView[]} settings
 * @param {(key: string) => string | null} textOf the text of a setting's control, null where it is to be removed
 * @returns {Record<string, Stored>}
 */
export function changes(settings, textOf) {
  /** @type {Record<string, Stored>} */
  const values = {};
  for (const setting of settings) {
    const text = textOf(setting.key);
    if (text === null) values[setting.key] = null;
    else if (text.trim() !== controlText(setting).trim()) values[setting.key] = storedAs(setting.kind, text);
  }
  return values;
}

/**
 * Finds the setting that a refusal is about, by its key or name.
 *
 * @param {SettingView[]} settings
 * @param {string[]} sent the keys that were sent
 * @param {string} message
 * @returns {string | null}
 */
export function refusedKey(settings, sent, message) {
  const candidates = settings.filter(({ key }) => sent.includes(key));
  // The longest first: a name may begin with another.
  const found = candidates
    .flatMap(({ key, name }) => [key, name].map((word) => ({ key, word })))
    .sort((a, b) => b.word.length - a.word.length)
    .find(({ word }) => new RegExp(`(^|[^\\w.])${word.replace(/[.]/g, '\\.')}($|[^\\w.]|\\.($|\\s))`).test(message));
  return found?.key ?? null;
}
