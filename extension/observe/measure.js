/**
 * Measures a page from inside: how it was loaded, and its web vitals so far.
 */

/** @typedef {{ vitals: Record<string, number>, timing: Record<string, number> }} Measured */

/**
 * Runs in the page, in a world of its own that scripts of the page can't see. The browser sends it there as text, so it knows nothing but what
 * stands in it. Called again in the same page, it tells what has become of the values since.
 *
 * @returns {Promise<Measured>}
 */
export async function measurePage() {
  const world = /** @type {{ navtraceVitals?: Record<string, number> }} */ (/** @type {unknown} */ (globalThis));

  /** @returns {Record<string, number>} values that follow the page from now on */
  const watch = () => {
    /** @type {Record<string, number>} */
    const vitals = {};
    /**
     * @param {string} type
     * @param {(entry: any) => void} take
     */
    const follow = (type, take) => {
      const observer = new PerformanceObserver((list) => list.getEntries().forEach(take));
      // A type that this browser does not know is passed over.
      observer.observe(/** @type {PerformanceObserverInit} */ ({ type, buffered: true, durationThreshold: 40 }));
    };
    follow('paint', ({ name, startTime }) => {
      if (name === 'first-contentful-paint') vitals.fcp = startTime;
    });
    follow('largest-contentful-paint', ({ startTime }) => {
      vitals.lcp = startTime;
    });
    // The largest burst of shifts counts: less than 1 s between two of them, and 5 s in all.
    let [burst, first, last] = [0, 0, 0];
    vitals.cls = 0;
    follow('layout-shift', ({ value, startTime, hadRecentInput }) => {
      if (hadRecentInput) return;
      if (startTime - last > 1000 || startTime - first > 5000) [burst, first] = [0, startTime];
      last = startTime;
      burst += value;
      vitals.cls = Math.max(vitals.cls ?? 0, burst);
    });
    follow('event', ({ interactionId, duration }) => {
      if (interactionId > 0) vitals.inp = Math.max(vitals.inp ?? 0, duration);
    });
    return vitals;
  };

  const vitals = (world.navtraceVitals ??= watch());
  // What happened before comes in tasks of its own.
  await new Promise((resolve) => setTimeout(resolve));
  const [navigation] = performance.getEntriesByType('navigation');
  const numbers = Object.entries(navigation?.toJSON() ?? {}).filter(([, value]) => typeof value === 'number');
  return { vitals: { ...vitals }, timing: Object.fromEntries(numbers) };
}
