/**
 * Fakes of the browser's interface, as far as the unit tests need it. They record calls, and refuse what the browser refuses.
 */

import { filterFault, isSelected } from './request-filter.js';
import { MAX_REGEX_LENGTH, MAX_REGEX_RULES, MAX_RULES, RESOURCE_TYPES, changed, handedBack, ruleFault, rulesFor } from './rule-engine.js';

/** @typedef {{ sent: any[], receive: (message: unknown) => void, disconnect: () => void }} FakePort */
/** @typedef {{ name: string, value?: string, binaryValue?: number[] }} Header */
/** @typedef {(...details: any[]) => any} Listener */
/** @typedef {{ urls: string[], types?: string[] }} Filter */
/** @typedef {{ listener: Listener, filter: Filter | null, extra: string[] }} Registration */

/** The permissions of the manifest, without those that have to be granted. */
const PERMISSIONS = ['declarativeNetRequest', 'nativeMessaging', 'scripting', 'webNavigation', 'webRequest'];
const GRANT = 'webRequestBlocking';

/** The browser's description of itself. */
export const NAVIGATOR = {
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/156.0.0.0',
  userAgentData: {
    brands: [
      { brand: 'Chromium', version: '156' },
      { brand: 'Not?A_Brand', version: '24' },
    ],
    platform: 'Linux',
    mobile: false,
  },
  language: 'en-US',
};

/** The events, and for those of `webRequest` the options of a listener. */
const EVENTS = {
  webRequest: {
    onBeforeSendHeaders: ['blocking', 'requestHeaders', 'extraHeaders'],
    onSendHeaders: ['requestHeaders', 'extraHeaders'],
    onHeadersReceived: ['blocking', 'responseHeaders', 'extraHeaders'],
    onBeforeRedirect: ['responseHeaders', 'extraHeaders'],
    onResponseStarted: ['responseHeaders', 'extraHeaders'],
    onCompleted: ['responseHeaders', 'extraHeaders'],
    onErrorOccurred: ['extraHeaders'],
  },
  webNavigation: {
    onBeforeNavigate: null,
    onCommitted: null,
    onDOMContentLoaded: null,
    onCompleted: null,
    onErrorOccurred: null,
  },
  tabs: { onCreated: null, onRemoved: null, onReplaced: null, onUpdated: null },
  windows: { onCreated: null },
};

/**
 * Returns the observations that a host received, in order.
 *
 * @param {FakePort | undefined} port
 * @returns {any[]}
 */
export const observationsOf = (port) =>
  (port?.sent ?? []).flatMap(({ type, observations }) => (type === 'observed' ? observations : []));

/** Waits until all pending work has run. */
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
 * Checks the answer of a blocking listener as the browser does. Throws when the answer cannot be copied, like a promise.
 *
 * @param {string} name of the event
 * @param {any} value
 * @returns {Record<string, Header[]>}
 */
function checkedAnswer(name, value) {
  const answer = structuredClone(value) ?? {};
  const changes = name === 'webRequest.onBeforeSendHeaders' ? 'requestHeaders' : 'responseHeaders';
  for (const [key, headers] of Object.entries(answer)) {
    if (key !== changes) throw new Error(`${name} does not take ${key}`);
    for (const header of headers) {
      const one = (typeof header.value === 'string') !== Array.isArray(header.binaryValue);
      const fits = typeof header.name === 'string' && one;
      if (!fits) throw new Error(`Invalid header specification '${JSON.stringify(header)}'.`);
    }
  }
  return answer;
}

/**
 * Installs a fake `chrome`.
 *
 * @param {object} [options] the initial state
 * @param {number[]} [options.tabs]
 * @param {number[]} [options.windows]
 * @param {any[]} [options.rules]
 * @param {boolean} [options.granted] whether the browser says that listeners may change requests
 * @param {boolean} [options.asks] whether it asks them; otherwise it only registers them
 */
export function fakeChrome({ tabs = [], windows = [], rules: before = [], granted = false, asks = granted } = {}) {
  /** @type {Map<number, any>} */
  const rules = new Map(before.map((rule) => [rule.id, rule]));
  /** @type {any[]} */
  const updates = [];
  /** @type {any[]} */
  const scripts = [];
  /** @type {FakePort[]} */
  const ports = [];
  /** @type {string[]} what was called, in order */
  const calls = [];
  /** @type {Map<string, Registration[]>} */
  const registered = new Map();
  const state = {
    refuse: (/** @type {any} */ _update) => false,
    badge: '',
    title: '',
    broken: /** @type {Set<string>} */ (new Set()),
    urls: /** @type {Map<number, string>} */ (new Map()),
    frames: /** @type {Map<number, object[]>} */ (new Map()),
    held: /** @type {Promise<unknown> | null} */ (null),
  };

  /**
   * @template {unknown[]} A
   * @template T
   * @param {string} name
   * @param {(...args: A) => T} answer
   * @returns {(...args: A) => Promise<T>}
   */
  const call = (name, answer) => async (...args) => {
    calls.push(name);
    if (state.broken.has(name)) throw new Error(`${name} is broken`);
    return answer(...args);
  };

  /**
   * An event of `webRequest`, on which the same function may listen several times.
   *
   * @param {string} name
   * @param {string[]} allowed
   */
  const requestEvent = (name, allowed) => ({
    /** @param {Listener} listener @param {Filter} filter @param {string[]} [extra] */
    addListener: (listener, filter, extra = []) => {
      const fault = filterFault(filter);
      if (fault !== null) throw new Error(`Error at parameter 'filter': ${fault}.`);
      const unknown = extra.find((item) => !allowed.includes(item));
      if (unknown !== undefined) throw new Error(`Error at parameter 'extraInfoSpec': ${name} has no ${unknown}`);
      registered.set(name, [...(registered.get(name) ?? []), { listener, filter: structuredClone(filter), extra }]);
    },
    /** @param {Listener} listener */
    removeListener: (listener) => {
      const list = [...(registered.get(name) ?? [])];
      const index = list.findIndex((registration) => registration.listener === listener);
      if (index !== -1) list.splice(index, 1);
      registered.set(name, list);
    },
  });

  /** @param {string} name */
  const plainEvent = (name) => ({
    /** @param {Listener} listener */
    addListener: (listener) => {
      const list = registered.get(name) ?? [];
      if (list.some((registration) => registration.listener === listener)) return;
      registered.set(name, [...list, { listener, filter: null, extra: [] }]);
    },
    /** @param {Listener} listener */
    removeListener: (listener) => {
      const list = registered.get(name) ?? [];
      registered.set(name, list.filter((registration) => registration.listener !== listener));
    },
  });

  /** @param {keyof typeof EVENTS} area */
  const events = (area) =>
    Object.fromEntries(
      Object.entries(EVENTS[area]).map(([key, allowed]) => {
        const name = `${area}.${key}`;
        return [key, allowed === null ? plainEvent(name) : requestEvent(name, allowed)];
      }),
    );

  const fake = {
    runtime: {
      id: 'aalhdoofknlgjgclnnkjbegphicaohme',
      lastError: undefined,
      onMessage: plainEvent('runtime.onMessage'),
      onConnect: plainEvent('runtime.onConnect'),
      getURL: (/** @type {string} */ path) => `chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/${path}`,
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
          sent.push(JSON.parse(JSON.stringify(message)));
        };
        // The browser tells the other end alone.
        return { onMessage, onDisconnect, postMessage, disconnect: () => void (open = false) };
      },
    },
    extension: { isAllowedIncognitoAccess: call('isAllowedIncognitoAccess', () => true) },
    permissions: {
      contains: call('permissions.contains', (/** @type {{ permissions: string[] }} */ { permissions }) =>
        permissions.every((permission) => {
          if (permission === GRANT) return granted;
          if (!PERMISSIONS.includes(permission)) throw new Error(`'${permission}' is not a recognized permission.`);
          return true;
        }),
      ),
    },
    action: {
      setBadgeText: async (/** @type {{ text: string }} */ { text }) => void (state.badge = text),
      setTitle: async (/** @type {{ title: string }} */ { title }) => void (state.title = title),
    },
    scripting: {
      getRegisteredContentScripts: call('getRegisteredContentScripts', (/** @type {{ ids: string[] }} */ { ids }) =>
        scripts.filter(({ id }) => ids.includes(id)),
      ),
      registerContentScripts: call('registerContentScripts', (/** @type {any[]} */ added) => {
        const twice = added.find(({ id }) => scripts.some((script) => script.id === id));
        if (twice !== undefined) throw new Error(`Duplicate script ID '${twice.id}'`);
        scripts.push(...added);
      }),
    },
    webRequest: events('webRequest'),
    webNavigation: {
      ...events('webNavigation'),
      getAllFrames: call('webNavigation.getAllFrames', (/** @type {{ tabId: number }} */ { tabId }) => state.frames.get(tabId) ?? null),
    },
    tabs: {
      ...events('tabs'),
      query: call('tabs.query', () => tabs.map((id) => ({ id, url: state.urls.get(id) }))),
      get: call('tabs.get', (/** @type {number} */ id) => {
        if (!tabs.includes(id)) throw new Error(`No tab with id: ${id}.`);
        return { id, url: state.urls.get(id) };
      }),
    },
    windows: { ...events('windows'), getAll: call('windows.getAll', () => windows.map((id) => ({ id }))) },
    declarativeNetRequest: {
      ResourceType: RESOURCE_TYPES,
      isRegexSupported: call('isRegexSupported', (/** @type {{ regex: string, isCaseSensitive: boolean }} */ { regex, isCaseSensitive }) => {
        if (!isCaseSensitive) throw new Error('the rules are case-sensitive');
        return regex.length > MAX_REGEX_LENGTH ? { isSupported: false, reason: 'memoryLimitExceeded' } : { isSupported: true };
      }),
      getSessionRules: call('getSessionRules', () => [...rules.values()].map(handedBack)),
      updateSessionRules: async (/** @type {{ removeRuleIds: number[], addRules: any[] }} */ update) => {
        const { held } = state;
        updates.push(update);
        await settled();
        await held;
        if (state.refuse(update)) throw new Error('refused');
        const after = new Map(rules);
        update.removeRuleIds.forEach((id) => after.delete(id));
        for (const rule of update.addRules) {
          const fault = ruleFault(rule);
          if (fault !== null) throw new Error(`Rule with id ${rule.id} ${fault}.`);
          if (after.has(rule.id)) throw new Error(`Rule with id ${rule.id} does not have a unique ID.`);
          after.set(rule.id, rule);
        }
        if (after.size > MAX_RULES) throw new Error('Session rule count exceeded.');
        const regexes = [...after.values()].filter(({ condition }) => condition.regexFilter !== undefined);
        if (regexes.length > MAX_REGEX_RULES) throw new Error('Session rules have too many regular expressions.');
        rules.clear();
        after.forEach((rule, id) => rules.set(id, rule));
      },
    },
  };
  Object.assign(globalThis, { chrome: fake });
  Object.defineProperty(globalThis, 'navigator', { value: NAVIGATOR, configurable: true, writable: true });

  /**
   * Tells the listeners of an event, each with a copy of its own that has only what it asked for.
   *
   * @param {string} name
   * @param {...any} details
   * @returns {any} the answer of a blocking listener
   */
  const fire = (name, ...details) => {
    const answers = [];
    for (const { listener, filter, extra } of registered.get(name) ?? []) {
      const blocking = extra.includes('blocking');
      if (blocking && !asks) continue;
      const [first, ...others] = structuredClone(details);
      if (filter !== null && !isSelected(filter, first)) continue;
      for (const key of name.startsWith('webRequest.') ? ['requestHeaders', 'responseHeaders'] : []) {
        if (!extra.includes(key)) delete first[key];
      }
      const answer = listener(first, ...others);
      if (blocking) answers.push(checkedAnswer(name, answer));
    }
    const changes = answers.filter((answer) => Object.keys(answer).length > 0);
    if (changes.length > 1) throw new Error(`several listeners answered ${name}`);
    return changes[0] ?? answers[0];
  };

  /**
   * Has a request leave: a listener changes its headers, and a rule that sets or removes one wins over it.
   *
   * @param {object} details
   * @returns {Header[]} the headers that it carries in the end
   */
  const leave = (details) => {
    const request = {
      requestId: '1',
      tabId: -1,
      type: 'script',
      method: 'GET',
      url: 'https://example.test/',
      documentLifecycle: 'active',
      timeStamp: Date.now(),
      requestHeaders: /** @type {Header[]} */ ([]),
      ...details,
    };
    /** @type {Header[]} */
    let requestHeaders = fire('webRequest.onBeforeSendHeaders', request)?.requestHeaders ?? request.requestHeaders;
    requestHeaders = changed(requestHeaders, rulesFor(rules, request).flatMap(({ action }) => action.requestHeaders ?? []));
    fire('webRequest.onSendHeaders', { ...request, requestHeaders });
    return requestHeaders;
  };

  /** @returns {string[]} the events that have a listener, sorted */
  const listening = () => [...registered].flatMap(([name, { length }]) => (length > 0 ? [name] : [])).sort();
  /** @returns {string[]} the events that have a listener which every request waits for */
  const blocking = () =>
    [...registered]
      .flatMap(([name, list]) => list.filter(({ extra }) => extra.includes('blocking')).map(() => name))
      .sort();
  /** Returns the filters of an event's listeners. @param {string} name */
  const filters = (name) => (registered.get(name) ?? []).map(({ filter }) => filter);
  return { rules, scripts, updates, ports, calls, state, registered, listening, blocking, filters, fire, leave };
}
