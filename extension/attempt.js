/**
 * Calls the browser for something that the extension can do without.
 */

/**
 * Returns the fallback when the call fails: headers matter more than its result.
 *
 * @template T
 * @param {string} what name of the call in the log
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
