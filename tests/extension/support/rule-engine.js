/**
 * The browser's side of session rules: which ones it refuses, and how it follows the others.
 */

/** @typedef {import('./chrome.js').Header} Header */

export const MAX_RULES = 5000;
export const MAX_REGEX_RULES = 1000;

/** Stands for the browser's limit of memory, about 2 KiB for a compiled expression. */
export const MAX_REGEX_LENGTH = 150;

/** In the order of the browser's enum. Rules come back in another order. */
export const RESOURCE_TYPES = {
  MAIN_FRAME: 'main_frame',
  SUB_FRAME: 'sub_frame',
  SCRIPT: 'script',
  IMAGE: 'image',
  FONT: 'font',
  XMLHTTPREQUEST: 'xmlhttprequest',
  PING: 'ping',
  WEBSOCKET: 'websocket',
};

/** @param {any} rule @returns {any} the rule as the browser hands it back */
export function handedBack({ id, priority, condition, action }) {
  const { resourceTypes, ...others } = condition;
  const types = resourceTypes ? { resourceTypes: [...resourceTypes].sort() } : {};
  return { action, condition: { ...others, ...types }, id, priority };
}

/**
 * Returns why the browser would refuse a rule; null when it takes the rule.
 *
 * @param {any} rule
 */
export function ruleFault({ id, priority, condition, action }) {
  for (const number of [id, priority]) if (!Number.isInteger(number) || number < 1) return `has a number ${number}`;
  for (const key of ['resourceTypes', 'requestDomains', 'excludedRequestDomains', 'excludedInitiatorDomains', 'tabIds']) {
    if (condition[key]?.length === 0) return `has an empty ${key} list`;
  }
  for (const type of condition.resourceTypes ?? []) {
    if (!Object.values(RESOURCE_TYPES).includes(type)) return `has a type ${type}`;
  }
  const { regexFilter } = condition;
  // eslint-disable-next-line no-control-regex -- ASCII
  if (regexFilter !== undefined && !/^[\x00-\x7f]+$/.test(regexFilter)) return `has a regular expression ${regexFilter}`;
  if (regexFilter?.length > MAX_REGEX_LENGTH) return 'has a regular expression that takes too much memory';
  // An allowing rule only keeps rules below it from changing headers.
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

/** Compiles a filter of the only kind that is used: `|address^`. @param {string} urlFilter */
const beginningWith = (urlFilter) => {
  const [, address] = /^\|([^|^*]+)\^$/.exec(urlFilter) ?? [];
  if (address === undefined) throw new Error(`unknown filter ${urlFilter}`);
  return new RegExp(`^${address.replace(/[.+?()[\]{}$\\]/g, '\\$&')}(?![\\w.%-])`);
};

/** @param {string} hostname below a public suffix of one label, as those of tests are */
const site = (hostname) => hostname.split('.').slice(-2).join('.');

/**
 * Finds the rules that change a request's headers, the highest priority first. A rule that allows the request hides those below it.
 *
 * @param {Map<number, any>} rules
 * @param {any} details
 * @returns {any[]}
 */
export const rulesFor = (rules, { type, tabId, url, initiator = '' }) => {
  const { hostname } = new URL(url);
  const isFirstParty = site(hostname) === site(initiator.replace(/^.*:\/\//, ''));
  const isIn = (/** @type {string} */ domain, of = hostname) => of === domain || of.endsWith(`.${domain}`);
  const { hostname: from } = new URL(initiator === '' ? 'about:blank' : initiator);
  /** @param {any} condition */
  const matches = ({ resourceTypes, tabIds, requestDomains, excludedRequestDomains, excludedInitiatorDomains, domainType, regexFilter, urlFilter, isUrlFilterCaseSensitive = false }) =>
    (resourceTypes?.includes(type) ?? type !== 'main_frame') &&
    (tabIds?.includes(tabId) ?? true) &&
    (requestDomains?.some((/** @type {string} */ domain) => isIn(domain)) ?? true) &&
    !(excludedRequestDomains?.some((/** @type {string} */ domain) => isIn(domain)) ?? false) &&
    !(excludedInitiatorDomains?.some((/** @type {string} */ domain) => isIn(domain, from)) ?? false) &&
    (domainType === undefined || (domainType === 'firstParty') === isFirstParty) &&
    (urlFilter === undefined || beginningWith(urlFilter).test(url)) &&
    (regexFilter === undefined || new RegExp(regexFilter, isUrlFilterCaseSensitive ? '' : 'i').test(url));
  const matching = [...rules.values()].filter(({ condition }) => matches(condition));
  const allowed = Math.max(0, ...matching.filter(({ action }) => action.type === 'allow').map(({ priority }) => priority));
  return matching
    .filter(({ action, priority }) => action.type === 'modifyHeaders' && priority > allowed)
    .sort((a, b) => b.priority - a.priority);
};

/**
 * Changes headers by rules. The first rule that names a header decides.
 *
 * @param {Header[]} headers
 * @param {{ header: string, operation: string, value?: string }[]} changes
 */
export const changed = (headers, changes) => {
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
