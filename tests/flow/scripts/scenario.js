// What the scripts share: how often they run, and the URLs of the site.
//
//   SITE, OTHER   the two origins of the site
//   VUS           virtual users, 1 by default
//   ITERATIONS    iterations in all, as many as there are users by default
//   DURATION      run for this long instead, such as 30s

export function browserOptions() {
  const vus = Number(__ENV.VUS || 1);
  const often = __ENV.DURATION
    ? { executor: 'constant-vus', vus, duration: __ENV.DURATION, gracefulStop: '30s' }
    : { executor: 'shared-iterations', vus, iterations: Number(__ENV.ITERATIONS || vus) };
  return {
    // k6 ends with 99 when a check failed, and otherwise does not mind.
    thresholds: { checks: ['rate==1'] },
    scenarios: { browser: { ...often, options: { browser: { type: 'chromium' } } } },
  };
}

/** Names this iteration: no other of the test has the same. */
export function run() {
  return `${__VU}-${__ITER}`;
}

/** Makes the URL of a page of the site from a path and the query it gets. */
export function url(path, query, origin = __ENV.SITE) {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `${origin}${path}?${pairs.join('&')}`;
}
