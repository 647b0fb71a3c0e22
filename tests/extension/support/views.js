/**
 * Views as the worker sends them to pages.
 */

/** @import { NavigationView, RequestView, View } from '../../../extension/pages/messages.js' */

export const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
export const OTHER_TRACE = '0af7651916cd43dd8448eb211c80319c';

/** @type {View} */
export const VIEW = {
  type: 'view',
  version: '0.1.0',
  mode: 'detailed',
  wantedMode: 'auto',
  offTheRecord: true,
  paused: false,
  host: { state: 'connected', version: '0.1.0', reason: null },
  exporter: { endpoint: 'http://localhost:4318/v1/traces', exported: 1234, kept: 0, dropped: 0, problem: null },
  link: null,
  session: { traceId: TRACE, spanId: '00f067aa0ba902b7', flags: '01', started: 1000 },
  chosen: { ratio: null, targets: null, resources: null },
  configured: { ratio: 1, parentBased: true, targets: [], exclude: [], resources: ['all'] },
  tab: null,
  problems: [],
};
export const MISSING = /** @type {const} */ ({ state: 'missing', version: null, reason: 'not found' });

/** @type {RequestView} */
export const REQUEST = { spanId: '1'.repeat(16), method: 'GET', url: 'https://shop.test/a?b=c', resource: 'fetch', started: 1000, ended: 1100, status: 200, error: null, end: null, fromCache: false };
/** @type {NavigationView} */
export const NAVIGATION = { spanId: '2'.repeat(16), traceId: TRACE, url: 'https://shop.test/', started: 1000, ended: 1200, status: 200, error: null, end: null, requests: [], more: 0 };
