/**
 * The parts of the browser's interface that the unit tests need, as fakes that record what is asked of them and refuse what it refuses.
 */

/** @typedef {{ sent: any[], receive: (message: unknown) => void, disconnect: () => void }} FakePort */

const MOST_RULES = 5000;

/** In the browser's own order, which is not the one in which it hands them back. */
const RESOURCE_TYPES = { MAIN_FRAME: 'main_frame', SUB_FRAME: 'sub_frame', SCRIPT: 'script', IMAGE: 'image', FONT: 'font' };

/** Waits until everything that is due has run. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** @returns {{ addListener: (listener: (value: any) => void) => void, fire: (value?: unknown) => void }} */
function event() {
  /** @type {((value: any) => void)[]} */
  const listeners = [];
  return {
    addListener: (listener) => void listeners.push(listener),
    fire: (value) => listeners.forEach((listener) => listener(value)),
  };
}

/** @param {any} rule @returns {any} the rule as the browser hands it back */
const handedBack = ({ id, priority, condition, action }) => ({
  action,
  condition: { ...condition, resourceTypes: [...condition.resourceTypes].sort() },
  id,
  priority,
});

/**
 * Puts a fake `chrome` in place.
 *
 * @param {{ tabs?: number[], windows?: number[], rules?: any[] }} [options] what there is already
 */
export function fakeChrome({ tabs = [], windows = [], rules: before = [] } = {}) {
  /** @type {Map<number, any>} */
  const rules = new Map(before.map((rule) => [rule.id, rule]));
  /** @type {any[]} */
  const updates = [];
  /** @type {FakePort[]} */
  const ports = [];
  /** @type {string[]} what was called, in order */
  const calls = [];
  /** @type {Record<string, (...details: any[]) => void>} */
  const listeners = {};
  /** @type {{ refuse: (update: any) => boolean, badge: string, broken: Set<string>, held: Promise<unknown> | null }} */
  const state = { refuse: () => false, badge: '', broken: new Set(), held: null };

  /**
   * @template T
   * @param {string} name
   * @param {() => T} answer
   * @returns {() => Promise<T>}
   */
  const call = (name, answer) => async () => {
    calls.push(name);
    if (state.broken.has(name)) throw new Error(`${name} is broken`);
    return answer();
  };

  /** @param {string} area an area all of whose members are events */
  const events = (area, members = {}) =>
    new Proxy(/** @type {Record<string, unknown>} */ (members), {
      get: (target, name) =>
        target[String(name)] ?? {
          /** @param {(...details: any[]) => void} listener @param {unknown} [_filter] @param {string[]} [extra] */
          addListener: (listener, _filter, extra = []) => {
            listeners[`${area}.${String(name)}`] = (details, ...rest) => {
              if (area !== 'webRequest') return listener(details, ...rest);
              const { requestHeaders, responseHeaders, ...others } = details;
              const asked = Object.entries({ requestHeaders, responseHeaders }).filter(([key]) => extra.includes(key));
              return listener({ ...others, ...Object.fromEntries(asked) });
            };
          },
        },
    });

  const fake = {
    runtime: {
      lastError: undefined,
      getManifest: () => ({ version: '0.1.0' }),
      getPlatformInfo: call('getPlatformInfo', () => ({})),
      connectNative: () => {
        calls.push('connectNative');
        const onMessage = event();
        const onDisconnect = event();
        let open = true;
        /** @type {any[]} */
        const sent = [];
        const disconnect = () => {
          open = false;
          onDisconnect.fire();
        };
        ports.push({ sent, receive: onMessage.fire, disconnect });
        /** @param {unknown} message */
        const postMessage = (message) => {
          if (!open) throw new Error('Attempting to use a disconnected port object');
          sent.push(message);
        };
        return { onMessage, onDisconnect, postMessage };
      },
    },
    extension: { isAllowedIncognitoAccess: call('isAllowedIncognitoAccess', () => true) },
    action: {
      setBadgeText: async (/** @type {{ text: string }} */ { text }) => void (state.badge = text),
      setTitle: async () => {},
    },
    webRequest: events('webRequest'),
    webNavigation: events('webNavigation'),
    tabs: events('tabs', { query: call('tabs.query', () => tabs.map((id) => ({ id }))) }),
    windows: events('windows', { getAll: call('windows.getAll', () => windows.map((id) => ({ id }))) }),
    declarativeNetRequest: {
      ResourceType: RESOURCE_TYPES,
      getSessionRules: call('getSessionRules', () => [...rules.values()].map(handedBack)),
      updateSessionRules: async (/** @type {{ removeRuleIds: number[], addRules: any[] }} */ update) => {
        updates.push(update);
        await settled();
        await state.held;
        if (state.refuse(update)) throw new Error('refused');
        const after = new Map(rules);
        update.removeRuleIds.forEach((id) => after.delete(id));
        for (const rule of update.addRules) {
          if (after.has(rule.id)) throw new Error(`Rule with id ${rule.id} does not have a unique ID.`);
          after.set(rule.id, rule);
        }
        if (after.size > MOST_RULES) throw new Error('Session rule count exceeded.');
        rules.clear();
        after.forEach((rule, id) => rules.set(id, rule));
      },
    },
  };
  Object.assign(globalThis, { chrome: fake });
  /** @param {string} name @param {...any} details */
  const fire = (name, ...details) => listeners[name]?.(...details);
  return { rules, updates, ports, calls, listeners, state, fire };
}
