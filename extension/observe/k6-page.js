// Tells of the id that k6 gives this page, which only scripts of the page itself can see, to `k6-relay.js`.
{
  const PROPERTY = 'k6SpanId';
  const page = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (window));
  let id = page[PROPERTY];
  const tell = () => {
    if (typeof id === 'string') document.dispatchEvent(new CustomEvent('navtrace-k6-span', { detail: id }));
  };
  document.addEventListener('navtrace-k6-ask', tell, { once: true });
  // k6 may assign it later, and the page may assign another value before that.
  Object.defineProperty(page, PROPERTY, {
    configurable: true,
    get: () => id,
    set: (value) => {
      id = value;
      tell();
    },
  });
  tell();
}
