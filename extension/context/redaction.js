/**
 * Removes secrets from addresses that the popup shows, as the host does for spans (`src/context/redaction.rs`). Pure.
 * `tests/fixtures/redaction.json` tests both sides.
 */

/** Replaces a secret. */
const REDACTED = 'REDACTED';

/** Hides every value, while no host has named what is secret. */
const EVERY_NAME = ['*'];

/** How deep addresses in the values of parameters are read. */
const NESTING = 3;

/** How often the name or the value of a parameter may be percent-encoded. */
const ENCODINGS = 3;

const ASCII_ESCAPE = /%([0-7][0-9a-f])/gi;
const PUNCTUATION = /[^\p{Alphabetic}\p{N}]/gu;

/** @param {string} text @param {string} sign @returns {[string, string | null]} */
function split(text, sign) {
  const at = text.indexOf(sign);
  return at === -1 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string} text */
function decodedOnce(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text.replace(ASCII_ESCAPE, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  }
}

/** @param {string} text */
function decoded(text) {
  let result = text;
  for (let n = 0; n < ENCODINGS && result.includes('%'); n += 1) result = decodedOnce(result);
  return result;
}

/** Returns a name in lower case, without encoding and punctuation. @param {string} name */
const normalized = (name) => decoded(name).replace(PUNCTUATION, '').toLowerCase();

/** `https://user:password@host` becomes `https://REDACTED:REDACTED@host`. @param {string} base */
const withoutCredentials = (base) =>
  base.replace(/^(.*?:\/\/)([^/]*)@/, (_, scheme, user) => `${scheme}${user.includes(':') ? `${REDACTED}:${REDACTED}` : REDACTED}@`);

/** Removes secrets by the names of their parameters. */
class Redaction {
  #names;

  /** @param {string[]} names as the host sends them */
  constructor(names) {
    this.#names = names;
  }

  /** @param {string} text @param {number} [nesting] @returns {string} */
  address(text, nesting = NESTING) {
    const [rest, fragment] = split(text, '#');
    const [base, query] = split(rest, '?');
    const path = withoutCredentials(base).split('/').map((segment) => this.#segment(segment, nesting)).join('/');
    return `${path}${query === null ? '' : `?${this.#parameters(query, nesting)}`}${fragment === null ? '' : `#${this.#parameters(fragment, nesting)}`}`;
  }

  /** Redacts the parameters in a segment of a path, such as `page;jsessionid=1`. @param {string} text @param {number} nesting */
  #segment(text, nesting) {
    const [name, parameters] = split(text, ';');
    return parameters === null ? text : `${name};${this.#parameters(parameters, nesting)}`;
  }

  /** @param {string} text @param {number} nesting @returns {string} */
  #parameters(text, nesting) {
    return text.replace(/[^&;]+/g, (pair) => {
      const [name, value] = split(pair, '=');
      return value !== null && value !== '' && this.#hides(name, value, nesting) ? `${name}=${REDACTED}` : pair;
    });
  }

  /** Returns whether a value is secret, by its name or because it is an address with secrets. @param {string} name @param {string} value @param {number} nesting */
  #hides(name, value, nesting) {
    // A fragment may have a path and a query of its own.
    const key = normalized(name.slice(name.search(/[^/?]*$/)));
    if (this.#names.some((secret) => (secret.startsWith('*') ? key.endsWith(secret.slice(1)) : key === secret))) return true;
    if (nesting === 0) return false;
    const inner = decoded(value);
    return /[=@]/.test(inner) && (this.address(inner, nesting - 1) !== inner || this.#parameters(inner, nesting - 1) !== inner);
  }
}

/**
 * Returns a function that removes the secrets from an address.
 *
 * @param {string[] | null} names names of the parameters whose values are secrets; null to hide every value
 * @returns {(address: string) => string}
 */
export function redactor(names) {
  const redaction = new Redaction(names ?? EVERY_NAME);
  return (address) => redaction.address(address);
}
