/**
 * Reads the headers that are lists: `tracestate` and `baggage`. Both are passed on as they came, within their specifications' limits.
 */

/** Unicode's white space, which the host trims too: `trim` has another idea of it. */
const WHITE_SPACE = /^\p{White_Space}$/u;

/** @param {string} character */
const isWhiteSpace = (character) => WHITE_SPACE.test(character);

/** @param {string} character */
const isBlank = (character) => character === ' ' || character === '\t';

/**
 * @param {string} text
 * @param {(character: string) => boolean} [isSpace]
 * @returns {string}
 */
export function trimmed(text, isSpace = isWhiteSpace) {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charAt(from))) from += 1;
  while (from < to && isSpace(text.charAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/**
 * Takes a list apart at its commas. Empty members are allowed, and mean nothing.
 *
 * @param {string} text
 */
const membersOf = (text) => text.split(',').map((member) => trimmed(member, isBlank)).filter((member) => member !== '');

/** What a `tracestate` may have. What has more characters is cut, large members first, then the last ones. */
const TRACESTATE_LIMITS = { members: 32, characters: 512, large: 128 };
const TRACESTATE_KEY = /^[a-z0-9][a-z0-9_*/@-]{0,255}$/;
const TRACESTATE_VALUE = /^[ -+\--<>-~]{1,256}$/;

/**
 * Reads a `tracestate`: what is kept of it, or as a whole nothing, and why.
 *
 * @param {string} text
 * @returns {{ tracestate: string, reason: string | null }}
 */
export function readTracestate(text) {
  /** @param {string} reason */
  const useless = (reason) => ({ tracestate: '', reason });
  const members = membersOf(text);
  if (members.length > TRACESTATE_LIMITS.members) {
    return useless(`expected at most ${TRACESTATE_LIMITS.members} members, found ${members.length}`);
  }
  const keys = new Set();
  for (const [index, member] of members.entries()) {
    const number = index + 1;
    const at = member.indexOf('=');
    if (at === -1) return useless(`member ${number} is not key=value`);
    const key = member.slice(0, at);
    if (!TRACESTATE_KEY.test(key)) return useless(`the key of member ${number} is invalid`);
    if (!TRACESTATE_VALUE.test(member.slice(at + 1))) return useless(`the value of member ${number} is invalid`);
    if (keys.has(key)) return useless(`member ${number} repeats a key`);
    keys.add(key);
  }
  while (members.join(',').length > TRACESTATE_LIMITS.characters) {
    members.splice(members.findLastIndex((member) => member.length > TRACESTATE_LIMITS.large), 1);
  }
  return { tracestate: members.join(','), reason: null };
}

/** The header of W3C Baggage, by its lower-case name. */
export const BAGGAGE = 'baggage';

/** What everybody propagates of a `baggage`. https://www.w3.org/TR/baggage/#limits */
const BAGGAGE_LIMITS = { members: 64, bytes: 8192 };

/** A token of HTTP: RFC 9110, section 5.6.2. */
const TOKEN = /^[0-9A-Za-z!#$%&'*+.^_`|~-]+$/;
const BAGGAGE_VALUE = /^[!#-+\--:<-[\]-~]*$/;

/** @param {string} text */
const isToken = (text) => TOKEN.test(trimmed(text, isBlank));

/** @param {string} text */
function isPair(text) {
  const at = text.indexOf('=');
  return at !== -1 && isToken(text.slice(0, at)) && BAGGAGE_VALUE.test(trimmed(text.slice(at + 1), isBlank));
}

/**
 * Tells `key = value *( ; property )`, with optional white space around each part.
 *
 * @param {string} member
 */
function isBaggageMember(member) {
  const [pair = '', ...properties] = member.split(';');
  return isPair(pair) && properties.every((property) => isToken(property) || isPair(property));
}

/**
 * Takes the members that are valid and within the limits, and tells what is wrong with the first that is not.
 *
 * @param {string[]} members
 * @returns {{ baggage: string, reason: string | null }}
 */
function take(members) {
  /** @type {string[]} */
  const taken = [];
  let bytes = 0;
  /** @type {string | null} */
  let reason = null;
  for (const [index, member] of members.entries()) {
    const number = index + 1;
    // With the comma before it. Whatever is valid is ASCII.
    const added = member.length + (taken.length === 0 ? 0 : 1);
    if (!isBaggageMember(member)) {
      reason ??= `member ${number} is not key=value, percent-encoded`;
    } else if (taken.length === BAGGAGE_LIMITS.members) {
      reason ??= `member ${number} is one too many: ${BAGGAGE_LIMITS.members} are passed on`;
    } else if (bytes + added > BAGGAGE_LIMITS.bytes) {
      reason ??= `member ${number} is too long: ${BAGGAGE_LIMITS.bytes} bytes are passed on`;
    } else {
      bytes += added;
      taken.push(member);
    }
  }
  return { baggage: taken.join(','), reason };
}

/**
 * Reads a `baggage`: what is valid of it, and what is wrong with the first member that is not.
 *
 * @param {string} text
 * @returns {{ baggage: string, reason: string | null }}
 */
export const readBaggage = (text) => take(membersOf(text));

/** @param {string} member */
const keyOf = (member) => trimmed(member.slice(0, member.indexOf('=')), isBlank);

/**
 * Adds to a request's own baggage the members of ours whose key it doesn't have, as far as the limits go.
 *
 * @param {string} theirs as it was read, or empty
 * @param {string} ours likewise
 * @returns {string}
 */
export function mergeBaggage(theirs, ours) {
  if (theirs === '' || ours === '') return theirs || ours;
  const members = membersOf(theirs);
  const keys = new Set(members.map(keyOf));
  return take([...members, ...membersOf(ours).filter((member) => !keys.has(keyOf(member)))]).baggage;
}
