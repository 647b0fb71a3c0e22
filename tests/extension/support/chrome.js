/**
 * The parts of the browser's interface that the unit tests need, as fakes that record what is asked of them.
 */

/** @typedef {{ sent: any[], receive: (message: unknown) => void, disconnect: () => void }} FakePort */

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

/**
 * Puts a fake `chrome` in place.
 *
 * @param {{ stored?: Record<string, unknown> }} [options]
 */
export function fakeChrome({ stored = {} } = {}) {
  /** @type {Map<number, any>} */
  const rules = new Map();
  /** @type {any[]} */
  const updates = [];
  /** @type {FakePort[]} */
  const ports = [];
  /** @type {{ refuse: (update: any) => boolean, badge: string }} */
  const state = { refuse: () => false, badge: '' };
  const fake = {
    runtime: {
      lastError: undefined,
      getManifest: () => ({ version: '0.1.0' }),
      connectNative: () => {
        const onMessage = event();
        const onDisconnect = event();
        /** @type {any[]} */
        const sent = [];
        ports.push({ sent, receive: onMessage.fire, disconnect: onDisconnect.fire });
        return { onMessage, onDisconnect, postMessage: (/** @type {unknown} */ message) => void sent.push(message) };
      },
    },
    extension: { isAllowedIncognitoAccess: async () => true },
    action: {
      setBadgeText: async (/** @type {{ text: string }} */ { text }) => void (state.badge = text),
      setTitle: async () => {},
    },
    storage: {
      session: {
        get: async () => stored,
        set: async (/** @type {Record<string, unknown>} */ values) => void Object.assign(stored, values),
      },
    },
    declarativeNetRequest: {
      getSessionRules: async () => [...rules.values()],
      updateSessionRules: async (/** @type {{ removeRuleIds: number[], addRules: any[] }} */ update) => {
        updates.push(update);
        await settled();
        if (state.refuse(update)) throw new Error('refused');
        update.removeRuleIds.forEach((id) => rules.delete(id));
        update.addRules.forEach((rule) => rules.set(rule.id, rule));
      },
    },
  };
  Object.assign(globalThis, { chrome: fake });
  return { rules, updates, ports, state, stored };
}
