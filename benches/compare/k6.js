// Loads the pages of a flow with k6. USERS and ITERATIONS say how many browsers at once, and how many in all.
import { browser } from 'k6/browser';

import { iterate } from './flows.js';

const { FLOW: flow, WAY: way, SITE: site } = __ENV;
const sdk = __ENV.SDK ? open(__ENV.SDK) : '';

export const options = {
  scenarios: {
    browser: {
      executor: 'shared-iterations',
      vus: Number(__ENV.USERS),
      iterations: Number(__ENV.ITERATIONS),
      maxDuration: '10m',
      options: { browser: { type: 'chromium' } },
    },
  },
};

export default async function () {
  await iterate(() => browser.newPage(), { flow, way, site, sdk }, `${__VU}-${__ITER}`, (line) => console.log(line));
}
