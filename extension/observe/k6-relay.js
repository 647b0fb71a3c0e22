// Passes on the id that k6 gives this page. The page may tell ids too: they belong to no span of k6, and must not keep k6's from being told.
{
  const MAX_IDS = 5;
  /** @type {Set<unknown>} */
  const told = new Set();
  document.addEventListener('navtrace-k6-span', (event) => {
    const k6SpanId = /** @type {CustomEvent} */ (event).detail;
    if (typeof k6SpanId !== 'string' || k6SpanId.length !== 16 || told.has(k6SpanId) || told.size >= MAX_IDS) return;
    told.add(k6SpanId);
    void chrome.runtime.sendMessage({ what: 'k6-span', k6SpanId });
  });
}
// `k6-page.js` may have run before.
document.dispatchEvent(new CustomEvent('navtrace-k6-ask'));
