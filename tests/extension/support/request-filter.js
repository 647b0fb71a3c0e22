/**
 * The browser's side of the filters of `webRequest` listeners: which ones it refuses, and which requests they select.
 */

/** @typedef {import('./chrome.js').Filter} Filter */

const ALL_URLS = '<all_urls>';
const PATTERN = /^(\*|https?|wss?|file|ftp):\/\/(\*|(?:\*\.)?[^*/:]+)(\/.*)$/;

/** `webRequest.ResourceType` */
const TYPES = [
  'main_frame', 'sub_frame', 'stylesheet', 'script', 'image', 'font', 'object', 'xmlhttprequest', 'ping', 'csp_report', 'media', 'websocket',
  'webbundle', 'other',
];

/** Returns why the browser would refuse a filter; null when it takes the filter. @param {Filter} filter */
export function filterFault({ urls, types }) {
  if (urls.length === 0) return 'has no addresses';
  const pattern = urls.find((url) => url !== ALL_URLS && !PATTERN.test(url));
  if (pattern !== undefined) return `'${pattern}' is an invalid match pattern`;
  if (types?.length === 0) return 'has no types';
  const type = types?.find((name) => !TYPES.includes(name));
  return type === undefined ? null : `has a type ${type}`;
}

/** @param {string} pattern @param {string} url */
function matches(pattern, url) {
  if (pattern === ALL_URLS) return true;
  const [, scheme = '', host = '', path = ''] = PATTERN.exec(pattern) ?? [];
  const { protocol, hostname, pathname, search } = new URL(url);
  const isScheme = scheme === '*' ? /^(https?|wss?):$/.test(protocol) : protocol === `${scheme}:`;
  const base = host.replace(/^\*\./, '');
  const isHost = host === '*' || hostname === base || (base !== host && hostname.endsWith(`.${base}`));
  const glob = path.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*');
  return isScheme && isHost && new RegExp(`^${glob}$`).test(pathname + search);
}

/** Returns whether a filter selects a request. @param {Filter} filter @param {{ url: string, type: string }} details */
export const isSelected = ({ urls, types }, { url, type }) =>
  (types === undefined || types.includes(type)) && urls.some((pattern) => matches(pattern, url));
