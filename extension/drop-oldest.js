/**
 * Limits collections that would grow for as long as the browser runs.
 */

/**
 * Removes the oldest entries of a map or set that has more than `max`.
 *
 * @template K
 * @param {Map<K, unknown> | Set<K>} entries
 * @param {number} max
 */
export function dropOldest(entries, max) {
  for (const key of entries.keys()) {
    if (entries.size <= max) return;
    entries.delete(key);
  }
}
