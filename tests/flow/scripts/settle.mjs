// Shared by scripts whose pages belong to several browser contexts: waits for a page, and for a context of its own.
import process from 'node:process';

const { SITE } = process.env;

/** Limit of each wait. */
const LIMIT = 60_000;

/** Repeats a check until it holds. */
export async function until(what, holds) {
  const deadline = Date.now() + LIMIT;
  while (!(await holds())) if (Date.now() > deadline) throw new Error(`after ${LIMIT / 1000} s still not so: ${what}`);
}

/** Waits until a page of the site has made its requests. */
export async function done(page) {
  await page.evaluate(async () => {
    while (!window.done) await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

/** Runs in a page: returns whether its requests carry the context that its response named (rules), or a span id each (the listener). */
async function isSettled(carried) {
  const spanId = async () => (await (await fetch(carried)).text()).split('-')[2];
  const [{ serverTiming }] = performance.getEntriesByType('navigation');
  const named = serverTiming.findLast(({ name }) => name === 'traceparent')?.description.split('-')[2] ?? '';
  const [first, second] = [await spanId(), await spanId()];
  return second === named || second !== first;
}

/** Loads pages until the extension has followed a new tab. Until then the tab has rules with the trace of the latest context. */
export async function settle(page, run) {
  const settling = (path) => `${SITE}/${path}?kind=settling&run=${run}&nav=settling&subs=0`;
  await until('the tab has a context of its own', async () => {
    await page.goto(settling('page'));
    await done(page);
    return page.evaluate(isSettled, settling('carried'));
  });
}
