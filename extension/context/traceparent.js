/**
 * Writes the W3C `traceparent` header and checks its parts.
 */

/** @import { Linked, SessionContext } from '../protocol.d.ts' */

const ZEROS = /^0+$/;

/** @param {unknown} value @returns {value is string} */
export const isTraceId = (value) => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value) && !ZEROS.test(value);

/** @param {unknown} value @returns {value is string} */
export const isSpanId = (value) => typeof value === 'string' && /^[0-9a-f]{16}$/.test(value) && !ZEROS.test(value);

/** @param {unknown} value @returns {value is string} */
export const isFlags = (value) => typeof value === 'string' && /^[0-9a-f]{2}$/.test(value);

/** Writes a context as a header value. @param {SessionContext} context */
export function formatTraceparent({ traceId, spanId, flags }) {
  return `00-${traceId}-${spanId}-${flags}`;
}

/** Returns a link to a context. @param {Linked} context @returns {Linked} */
export const spanLink = ({ traceId, spanId }) => ({ traceId, spanId });
