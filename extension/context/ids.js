/**
 * Makes trace and span ids when no host has issued any.
 */

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * Returns random lower-case hex of the given number of bytes, never all zero: an id of zeros is invalid in W3C Trace Context.
 *
 * @param {number} bytes
 * @returns {string}
 */
function randomHex(bytes) {
  const buffer = new Uint8Array(bytes);
  do {
    crypto.getRandomValues(buffer);
  } while (buffer.every((byte) => byte === 0));
  return Array.from(buffer, (byte) => HEX[byte]).join('');
}

/** @returns {string} a trace id: 32 hex digits */
export const newTraceId = () => randomHex(16);

/** @returns {string} a span id: 16 hex digits */
export const newSpanId = () => randomHex(8);
