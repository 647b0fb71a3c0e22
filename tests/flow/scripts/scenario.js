// Shared by the scripts: options and URLs of the site.
//
//   SITE, OTHER   the two origins of the site
//   VUS           virtual users, 1 by default
//   ITERATIONS    total of iterations, one for each user by default
//   DURATION      runs for this time instead, such as 30s

export function browserOptions() {
  const vus = Number(__ENV.VUS || 1);
  const often = __ENV.DURATION
    ? { executor: 'constant-vus', vus, duration: __ENV.DURATION, gracefulStop: '30s' }
    : { executor: 'shared-iterations', vus, iterations: Number(__ENV.ITERATIONS || vus), maxDuration: '1h' };
  return {
    // Without a threshold, a failed check does not change the exit code of k6.
    thresholds: { checks: ['rate==1'] },
    scenarios: { browser: { ...often, options: { browser: { type: 'chromium' } } } },
  };
}

/** Returns a name that is unique to this iteration. */
export function run() {
  return `${__VU}-${__ITER}`;
}

/** Returns the URL of a page of the site. */
export function url(path, query, origin = __ENV.SITE) {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `${origin}${path}?${pairs.join('&')}`;
}
