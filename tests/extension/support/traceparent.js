/**
 * Reads the W3C `traceparent` header as strictly as navtrace writes it.
 */

import { isFlags, isSpanId, isTraceId } from '../../../extension/context/traceparent.js';

/** @import { SessionContext } from '../../../extension/protocol.d.ts' */

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

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
