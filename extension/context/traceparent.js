/**
 * Writes and reads the W3C `traceparent` header.
 */

/** @import { SessionContext } from '../channel/messages.js' */

const ZEROS = /^0+$/;
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** @param {unknown} value @returns {value is string} */
export const isTraceId = (value) => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value) && !ZEROS.test(value);

/** @param {unknown} value @returns {value is string} */
export const isSpanId = (value) => typeof value === 'string' && /^[0-9a-f]{16}$/.test(value) && !ZEROS.test(value);

/** @param {unknown} value @returns {value is string} */
export const isFlags = (value) => typeof value === 'string' && /^[0-9a-f]{2}$/.test(value);

/**
 * Writes a context as a header value.
 *
 * @param {SessionContext} context
 * @returns {string}
 */
export function formatTraceparent({ traceId, spanId, flags }) {
  return `00-${traceId}-${spanId}-${flags}`;
}

/**
 * Reads a header value of version 00, the only version that navtrace writes; null when it is something else.
 *
 * @param {string | undefined} header
 * @returns {SessionContext | null}
 */
export function parseTraceparent(header) {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(header ?? '') ?? [];
  return isTraceId(traceId) && isSpanId(spanId) && isFlags(flags) ? { traceId, spanId, flags } : null;
}
