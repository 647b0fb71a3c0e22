/**
 * The parts of the browser's interface that the unit tests need, as fakes that record what is asked of them and refuse what it refuses.
 */

/** @typedef {{ sent: any[], receive: (message: unknown) => void, disconnect: () => void }} FakePort */
/** @typedef {{ name: string, value?: string, binaryValue?: number[] }} Header */
/** @typedef {(...details: any[]) => any} Listener */
/** @typedef {{ listener: Listener, types: string[] | null, extra: string[] }} Registration */

const MOST_RULES = 5000;
const MOST_REGEX_RULES = 1000;

/** The real limit is one of memory: some 2 KiB for what the browser makes of it. */
export const LONGEST_REGEX = 150;

/** In the browser's own order, which is not the one in which it hands them back. */
const RESOURCE_TYPES = { MAIN_FRAME: 'main_frame', SUB_FRAME: 'sub_frame', SCRIPT: 'script', IMAGE: 'image', FONT: 'font' };

/** What the manifest asks for, besides what has to be granted. */
const PERMISSIONS = ['declarativeNetRequest', 'nativeMessaging', 'scripting', 'webNavigation', 'webRequest'];
const GRANT = 'webRequestBlocking';

/** What the browser says of itself. */
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

/** The events, and for those of `webRequest` what a listener may ask for. */
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
  tabs: { onCreated: null, onRemoved: null, onReplaced: null },
  windows: { onCreated: null },
};

/**
 * Reads what a host was told of, in its order.
 *
 * @param {FakePort | undefined} port
 * @returns {any[]}
 */
export const observationsOf = (port) =>
  (port?.sent ?? []).flatMap(({ type, observations }) => (type === 'observed' ? observations : []));

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
function handedBack({ id, priority, condition, action }) {
  const { resourceTypes, ...others } = condition;
  const types = resourceTypes ? { resourceTypes: [...resourceTypes].sort() } : {};
  return { action, condition: { ...others, ...types }, id, priority };
}

/**
 * Tells what the browser would refuse a rule for; null when it takes it.
 *
 * @param {any} rule
 */
function ruleFault({ id, priority, condition, action }) {
  for (const number of [id, priority]) if (!Number.isInteger(number) || number < 1) return `has a number ${number}`;
  for (const key of ['resourceTypes', 'requestDomains', 'tabIds']) {
    if (condition[key]?.length === 0) return `has an empty ${key} list`;
  }
  for (const type of condition.resourceTypes ?? []) {
    if (!Object.values(RESOURCE_TYPES).includes(type)) return `has a type ${type}`;
  }
  const { regexFilter } = condition;
  // eslint-disable-next-line no-control-regex -- what is ASCII
  if (regexFilter !== undefined && !/^[\x00-\x7f]+$/.test(regexFilter)) return `has a regular expression ${regexFilter}`;
  if (regexFilter?.length > LONGEST_REGEX) return 'has a regular expression that takes too much memory';
  // It keeps rules that are not above it from changing headers, and has none to change.
  if (action.type === 'allow') return Object.keys(action).length === 1 ? null : 'has more than an action to allow';
  if (action.type !== 'modifyHeaders') return `has an action ${action.type}`;
  const { requestHeaders, responseHeaders } = action;
  if (!requestHeaders && !responseHeaders) return 'changes no headers';
  for (const list of [requestHeaders, responseHeaders]) {
    if (list?.length === 0) return 'has an empty list of headers';
    for (const { header, operation, value } of list ?? []) {
      if (!header || !['append', 'set', 'remove'].includes(operation)) return 'changes a header in an unknown way';
      if ((typeof value === 'string') === (operation === 'remove')) return `has a value ${value} to ${operation}`;
      // A request's header may be appended to if it is one of a few that take lists.
      if (list === requestHeaders && operation === 'append') return `can not append to ${header}`;
    }
  }
  return null;
}

/**
 * Checks what a blocking listener answers, as the browser does before it follows any of it. What can't be copied, like
 * a promise, throws.
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
 * Puts a fake `chrome` in place.
 *
 * @param {object} [options] what there is already
 * @param {number[]} [options.tabs]
 * @param {number[]} [options.windows]
 * @param {any[]} [options.rules]
 * @param {boolean} [options.granted] whether the browser says that listeners may change requests
 * @param {boolean} [options.asks] whether it does ask the ones that would; one that does not register them all the same
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
    /** @param {Listener} listener @param {{ urls: string[], types?: string[] }} filter @param {string[]} [extra] */
    addListener: (listener, filter, extra = []) => {
      if (!filter.urls.includes('<all_urls>')) throw new Error(`${name} does not hear of everything`);
      const unknown = extra.find((item) => !allowed.includes(item));
      if (unknown !== undefined) throw new Error(`Error at parameter 'extraInfoSpec': ${name} has no ${unknown}`);
      registered.set(name, [...(registered.get(name) ?? []), { listener, types: filter.types ?? null, extra }]);
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
      registered.set(name, [...list, { listener, types: null, extra: [] }]);
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
    webNavigation: events('webNavigation'),
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
        return regex.length > LONGEST_REGEX ? { isSupported: false, reason: 'memoryLimitExceeded' } : { isSupported: true };
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
        if (after.size > MOST_RULES) throw new Error('Session rule count exceeded.');
        const regexes = [...after.values()].filter(({ condition }) => condition.regexFilter !== undefined);
        if (regexes.length > MOST_REGEX_RULES) throw new Error('Session rules have too many regular expressions.');
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
   * @returns {any} what a blocking listener answered
   */
  const fire = (name, ...details) => {
    const answers = [];
    for (const { listener, types, extra } of registered.get(name) ?? []) {
      const blocking = extra.includes('blocking');
      if (blocking && !asks) continue;
      const [first, ...others] = structuredClone(details);
      if (types !== null && !types.includes(first.type)) continue;
      for (const key of name.startsWith('webRequest.') ? ['requestHeaders', 'responseHeaders'] : []) {
        if (!extra.includes(key)) delete first[key];
      }
      const answer = listener(first, ...others);
      if (blocking) answers.push(checkedAnswer(name, answer));
    }
    if (answers.length > 1) throw new Error(`several listeners answered ${name}`);
    return answers[0];
  };

  /**
   * Finds the rules that change a request's headers, the one with the highest priority first: all that match, besides those that one which allows
   * the request is not below.
   *
   * @param {any} details
   * @returns {any[]}
   */
  const rulesFor = ({ type, tabId, url }) => {
    const { hostname } = new URL(url);
    const isIn = (/** @type {string} */ domain) => hostname === domain || hostname.endsWith(`.${domain}`);
    const matching = [...rules.values()].filter(
      ({ condition: { resourceTypes, tabIds, requestDomains, regexFilter, isUrlFilterCaseSensitive = false } }) =>
        (resourceTypes?.includes(type) ?? type !== 'main_frame') &&
        (tabIds?.includes(tabId) ?? true) &&
        (requestDomains?.some(isIn) ?? true) &&
        (regexFilter === undefined || new RegExp(regexFilter, isUrlFilterCaseSensitive ? '' : 'i').test(url)),
    );
    const allowed = Math.max(0, ...matching.filter(({ action }) => action.type === 'allow').map(({ priority }) => priority));
    return matching
      .filter(({ action, priority }) => action.type === 'modifyHeaders' && priority > allowed)
      .sort((a, b) => b.priority - a.priority);
  };

  /**
   * Changes headers as rules say: of each, the first rule that names it decides.
   *
   * @param {Header[]} headers
   * @param {{ header: string, operation: string, value?: string }[]} changes
   */
  const changed = (headers, changes) => {
    const decided = new Set();
    let after = headers;
    for (const { header, operation, value } of changes) {
      const lower = header.toLowerCase();
      if (decided.has(lower)) continue;
      decided.add(lower);
      after = after.filter(({ name }) => name.toLowerCase() !== lower);
      if (operation === 'set') after.push({ name: header, value });
    }
    return after;
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
    requestHeaders = changed(requestHeaders, rulesFor(request).flatMap(({ action }) => action.requestHeaders ?? []));
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
  return { rules, scripts, updates, ports, calls, state, registered, listening, blocking, fire, leave };
}
