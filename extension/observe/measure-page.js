/**
 * Content script that measures a web page: sends its navigation timing and web vitals to the worker when it has loaded and again when it is
 * left. Runs from the start of the page in an isolated world, which the page's scripts can't see.
 */

{
  /** @type {Record<string, number>} */
  const vitals = { cls: 0 };

  /** @param {string} type @param {(entry: any) => void} take */
  const observe = (type, take) => {
    const observer = new PerformanceObserver((list) => list.getEntries().forEach(take));
    // The browser ignores types that it does not know.
    observer.observe(/** @type {PerformanceObserverInit} */ ({ type, buffered: true, durationThreshold: 40 }));
  };

  observe('paint', ({ name, startTime }) => {
    if (name === 'first-contentful-paint') vitals.fcp = startTime;
  });
  observe('largest-contentful-paint', ({ startTime }) => {
    vitals.lcp = startTime;
  });
  // CLS is the largest session window: shifts less than 1 s apart, and at most 5 s in all.
  let [sum, first, last] = [0, 0, 0];
  observe('layout-shift', ({ value, startTime, hadRecentInput }) => {
    if (hadRecentInput) return;
    if (startTime - last > 1000 || startTime - first > 5000) [sum, first] = [0, startTime];
    last = startTime;
    sum += value;
    vitals.cls = Math.max(vitals.cls ?? 0, sum);
  });
  observe('event', ({ interactionId, duration }) => {
    if (interactionId > 0) vitals.inp = Math.max(vitals.inp ?? 0, duration);
  });

  const send = () => {
    const [navigation] = performance.getEntriesByType('navigation');
    const numbers = Object.entries(navigation?.toJSON() ?? {}).filter(([, value]) => typeof value === 'number');
    try {
      void chrome.runtime.sendMessage({ what: 'page-measured', vitals, timing: Object.fromEntries(numbers) }).catch(() => {});
    } catch {
      // The extension was reloaded, and this script lost its connection.
    }
  };

  // In a later task: `loadEventEnd` is set after the event, and buffered entries arrive in tasks of their own.
  addEventListener('load', () => setTimeout(send));
  addEventListener('pagehide', send);
}
