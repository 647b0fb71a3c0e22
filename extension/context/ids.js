/**
 * Makes trace and span ids.
 */

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Random bytes drawn ahead: detailed mode makes an id for every request, and many bytes cost as much as a few. */
const pool = new Uint8Array(4096);
let used = pool.length;

/** Returns random lower-case hex that is not all zero, which W3C Trace Context forbids. @param {number} bytes @returns {string} */
function randomHex(bytes) {
  if (used + bytes > pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  let hex = '';
  let any = 0;
  for (const end = used + bytes; used < end; used += 1) {
    const byte = pool[used] ?? 0;
    hex += HEX[byte];
    any |= byte;
  }
  return any === 0 ? randomHex(bytes) : hex;
}

/** @returns {string} a trace id: 32 hex digits */
export const newTraceId = () => randomHex(TRACE_ID_BYTES);

/** @returns {string} a span id: 16 hex digits */
export const newSpanId = () => randomHex(SPAN_ID_BYTES);
