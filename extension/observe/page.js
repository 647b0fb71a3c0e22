/**
 * Runs in each page from its start, where pages are measured, in a world of its own that scripts of the page can't see: tells how the page was
 * loaded, and its web vitals, once it is loaded and again when it is left.
 */

{
  /** @type {Record<string, number>} */
  const vitals = { cls: 0 };

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

  const tell = () => {
    const [navigation] = performance.getEntriesByType('navigation');
    const numbers = Object.entries(navigation?.toJSON() ?? {}).filter(([, value]) => typeof value === 'number');
    try {
      void chrome.runtime.sendMessage({ vitals, timing: Object.fromEntries(numbers) }).catch(() => {});
    } catch {
      // The extension was reloaded meanwhile, and this script's own is gone.
    }
  };

  // In a task behind the one that ends the event, and behind those that bring what happened before.
  addEventListener('load', () => setTimeout(tell));
  addEventListener('pagehide', tell);
}
