/**
 * Reads the headers `tracestate` and `baggage`, which are lists. Both are passed on within the limits of their specifications.
 */

/** Unicode's white space, which the host trims too. `String.trim` removes other characters. */
const WHITE_SPACE = /^\p{White_Space}$/u;

/** @param {string} character */
const isWhiteSpace = (character) => WHITE_SPACE.test(character);

/** @param {string} character */
const isBlank = (character) => character === ' ' || character === '\t';

/** @param {string} text @param {(character: string) => boolean} [isSpace] */
export function trimmed(text, isSpace = isWhiteSpace) {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charAt(from))) from += 1;
  while (from < to && isSpace(text.charAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/**
 * Limits of what is read of a list: a page can send megabytes, and its request waits for the reader. Every list that is passed on whole fits in,
 * with empty and invalid members among its own.
 */
const READ_LIMITS = { characters: 16_384, members: 256 };

/** Cuts a list to what is read of it, without a member that is cut off. @param {string} text */
export function cut(text) {
  const { characters } = READ_LIMITS;
  return text.length > characters ? text.slice(0, Math.max(text.lastIndexOf(',', characters), 0)) : text;
}

/** Splits a list at its commas, up to the limits. Empty members are allowed and dropped. @param {string} text */
function membersOf(text) {
  const parts = cut(text).split(',', READ_LIMITS.members);
  return parts.map((member) => trimmed(member, isBlank)).filter((member) => member !== '');
}

/** @param {string} member */
const keyOf = (member) => trimmed(member.slice(0, member.indexOf('=')), isBlank);

/** Limits of a `tracestate`. A longer one loses large members first, then the last ones. */
const TRACESTATE_LIMITS = { members: 32, characters: 512, large: 128 };
const TRACESTATE_KEY = /^[a-z0-9][a-z0-9_*/@-]{0,255}$/;
const TRACESTATE_VALUE = /^[ -+\--<>-~]{1,256}$/;

/** Reads a `tracestate`. An invalid one counts as empty, with the reason. @param {string} text */
export function readTracestate(text) {
  /** @param {string} reason */
  const invalidState = (reason) => ({ tracestate: '', reason });
  const members = membersOf(text);
  if (members.length > TRACESTATE_LIMITS.members) {
    return invalidState(`expected at most ${TRACESTATE_LIMITS.members} members, found ${members.length}`);
  }
  const keys = new Set();
  for (const [index, member] of members.entries()) {
    const number = index + 1;
    const at = member.indexOf('=');
    if (at === -1) return invalidState(`member ${number} is not key=value`);
    const key = member.slice(0, at);
    if (!TRACESTATE_KEY.test(key)) return invalidState(`the key of member ${number} is invalid`);
    if (!TRACESTATE_VALUE.test(member.slice(at + 1))) return invalidState(`the value of member ${number} is invalid`);
    if (keys.has(key)) return invalidState(`member ${number} repeats a key`);
    keys.add(key);
  }
  return { tracestate: joinedState(members), reason: null };
}

/** Joins the members of a `tracestate` within the limit of its length. @param {string[]} members */
function joinedState(members) {
  let length = members.join(',').length;
  while (length > TRACESTATE_LIMITS.characters) {
    const [dropped = ''] = members.splice(members.findLastIndex((member) => member.length > TRACESTATE_LIMITS.large), 1);
    length -= dropped.length + 1;
  }
  return members.join(',');
}

/**
 * Puts our members in front of a `tracestate` of the same trace, within the limits. A key that we have replaces theirs.
 *
 * @param {string} theirs as {@link readTracestate} returned it, or empty
 * @param {string} ours likewise
 */
export function mergeTracestate(theirs, ours) {
  if (theirs === '' || ours === '') return theirs || ours;
  const members = membersOf(ours);
  const keys = new Set(members.map(keyOf));
  members.push(...membersOf(theirs).filter((member) => !keys.has(keyOf(member))));
  return joinedState(members.slice(0, TRACESTATE_LIMITS.members));
}

/** The header of W3C Baggage, by its lower-case name. */
export const BAGGAGE = 'baggage';

/** Limits up to which every implementation propagates a `baggage`. https://www.w3.org/TR/baggage/#limits */
const BAGGAGE_LIMITS = { members: 64, bytes: 8192 };

/** A token of HTTP (RFC 9110, section 5.6.2), with optional white space around it. */
const TOKEN = "[ \\t]*[0-9A-Za-z!#$%&'*+.^_`|~-]+[ \\t]*";
/** A value, with optional white space around it. It may be empty. */
const VALUE = '[ \\t]*(?:[!#-+\\--:<-[\\]-~]+[ \\t]*)?';
/** A member: `key = value *( ; property )`. No two parts can match the same characters, so the time is linear in the length. */
const BAGGAGE_MEMBER = new RegExp(`^${TOKEN}=${VALUE}(?:;${TOKEN}(?:=${VALUE})?)*$`);

/**
 * Joins the members that are valid and within the limits. Gives the reason for the first that is not.
 *
 * @param {string[]} members @param {boolean} areValid whether to leave the check out
 */
function joined(members, areValid) {
  /** @type {string[]} */
  const kept = [];
  let bytes = 0;
  /** @type {string | null} */
  let reason = null;
  for (const [index, member] of members.entries()) {
    const number = index + 1;
    // Counts the comma before the member. Valid members are ASCII.
    const added = member.length + (kept.length === 0 ? 0 : 1);
    if (!areValid && !BAGGAGE_MEMBER.test(member)) {
      reason ??= `member ${number} is not key=value, percent-encoded`;
    } else if (kept.length === BAGGAGE_LIMITS.members) {
      reason ??= `member ${number} is one too many: ${BAGGAGE_LIMITS.members} are passed on`;
    } else if (bytes + added > BAGGAGE_LIMITS.bytes) {
      reason ??= `member ${number} is too long: ${BAGGAGE_LIMITS.bytes} bytes are passed on`;
    } else {
      bytes += added;
      kept.push(member);
    }
  }
  return { baggage: kept.join(','), reason };
}

/** What was read last: the header of one request is read several times, and most requests of a page have the same. */
let latest = { text: '', read: joined([], true) };

/** Reads the valid members of a `baggage`. Gives the reason for the first that is not. @param {string} text */
export function readBaggage(text) {
  const readable = cut(text);
  if (readable !== latest.text) latest = { text: readable, read: joined(membersOf(readable), false) };
  return latest.read;
}

/**
 * Adds our members to a request's own baggage, within the limits. A key that the request has stays as it is.
 *
 * @param {string} theirs as {@link readBaggage} returned it, or empty
 * @param {string} ours likewise
 */
export function mergeBaggage(theirs, ours) {
  if (theirs === '' || ours === '') return theirs || ours;
  const members = membersOf(theirs);
  const keys = new Set(members.map(keyOf));
  return joined([...members, ...membersOf(ours).filter((member) => !keys.has(keyOf(member)))], true).baggage;
}
