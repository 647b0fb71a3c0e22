// Tells of the id that k6 gives this page, which only scripts of the page itself can see, to `k6-relay.js`.
{
  const PROPERTY = 'k6SpanId';
  const page = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (window));
  const tell = () => {
    if (typeof page[PROPERTY] === 'string') document.dispatchEvent(new CustomEvent('navtrace-k6-span', { detail: page[PROPERTY] }));
  };
  document.addEventListener('navtrace-k6-ask', tell, { once: true });
  if (Object.hasOwn(page, PROPERTY)) tell();
  else {
    // k6 may assign it later.
    Object.defineProperty(page, PROPERTY, {
      configurable: true,
      get: () => undefined,
      set: (value) => {
        Object.defineProperty(page, PROPERTY, { value, configurable: true, enumerable: true, writable: true });
        tell();
      },
    });
  }
}
