// The demo of examples/k6, for some time instead of three iterations.
//
//   DURATION   such as 45s
//   SHOP_URL   the shop
import { browserOptions } from './scenario.js';

export { default } from '../../../examples/k6/demo.js';

export const options = browserOptions();
