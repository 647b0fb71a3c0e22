/**
 * Names the context of a navigation in the `Server-Timing` of its response. Of several entries `traceparent` the last one is ours, since rules can
 * only append. Pure.
 */

import { formatTraceparent } from '../context/traceparent.js';

/** @import { TracedContext } from '../context/traces.js' */
/** @typedef {chrome.webRequest.HttpHeader} Header */

/**
 * Returns the header by which a response names its navigation's context.
 *
 * @param {string} traceId the session's trace
 * @param {TracedContext} context
 */
export const serverTiming = (traceId, { spanId, flags, trace }) => ({
  name: 'Server-Timing',
  value: `traceparent;desc="${formatTraceparent({ traceId: trace?.traceId ?? traceId, spanId, flags })}"`,
});

/** Longest header that is read, in characters: its response waits. */
const MAX_LENGTH = 16_384;

/** The entries of a header. A comma may stand in quotes. No entry can match in two ways, so the time is linear in the length. */
const ENTRIES = /(?:[^",]|"(?:[^"\\]|\\[^])*(?:"|\\?$))+/g;

/** @param {string} entry */
const isTraceparent = (entry) => /^\s*traceparent\s*(?:[;=]|$)/.test(entry);

/**
 * Removes the entries `traceparent` of a server's own, which readers of the first one would take for ours. All others stay as they are.
 *
 * @param {Header[]} headers
 */
export const withoutTraceparent = (headers) =>
  headers.flatMap((header) => {
    const { name, value = '' } = header;
    if (name.toLowerCase() !== 'server-timing' || value.length > MAX_LENGTH) return [header];
    const entries = value.match(ENTRIES) ?? [];
    const others = entries.filter((entry) => !isTraceparent(entry));
    if (others.length === entries.length) return [header];
    return others.length === 0 ? [] : [{ name, value: others.join().trim() }];
  });
