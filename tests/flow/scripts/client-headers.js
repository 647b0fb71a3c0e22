// Adds trace context by k6's own means, for comparison.

function hex(digits) {
  return Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join('');
}

/** Adds a span id of its own to every request. `continue` replaces all headers, so the others are repeated. */
export async function addByRoute(page) {
  const trace = hex(32);
  await page.route(/./, (route) =>
    route.continue({ headers: { ...route.request().headers(), traceparent: `00-${trace}-${hex(16)}-01` } }),
  );
}

/** Adds the same new context to every request from now on. */
export async function addToAll(page) {
  await page.setExtraHTTPHeaders({ traceparent: `00-${hex(32)}-${hex(16)}-01` });
}
