/**
 * Asks the browser for something that the extension can do without.
 */

/**
 * Gives the fallback when the browser refuses: headers matter more than what was asked for.
 *
 * @template T
 * @param {string} what names the call in the log
 * @param {() => Promise<T>} call
 * @param {T} fallback
 * @returns {Promise<T>}
 */
export async function attempt(what, call, fallback) {
  try {
    return await call();
  } catch (error) {
    console.error(`navtrace: ${what} failed`, error);
    return fallback;
  }
}
