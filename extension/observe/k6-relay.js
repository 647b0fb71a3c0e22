// Passes on the id that k6 gives this page.
document.addEventListener('navtrace-k6-span', (event) => void chrome.runtime.sendMessage({ k6SpanId: /** @type {CustomEvent} */ (event).detail }), {
  once: true,
});
// `k6-page.js` may have run before.
document.dispatchEvent(new CustomEvent('navtrace-k6-ask'));
