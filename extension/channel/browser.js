/**
 * Says what browser this is.
 */

/** @import { Browser } from './messages.js' */
/** @typedef {{ brands?: { brand: string, version: string }[], platform?: string, mobile?: boolean }} UserAgentData */

/** The brand that browsers make up so that nobody relies on the list, such as `Not?A_Brand`. */
const MADE_UP = /not.?a.?brand/i;

/**
 * Describes the browser by what it says of itself.
 *
 * @returns {Browser}
 */
export function describeBrowser() {
  const { userAgent, language, userAgentData } = /** @type {Navigator & { userAgentData?: UserAgentData }} */ (navigator);
  const brands = (userAgentData?.brands ?? []).filter(({ brand }) => !MADE_UP.test(brand));
  return {
    userAgent,
    brands: brands.map(({ brand, version }) => `${brand} ${version}`),
    platform: userAgentData?.platform ?? '',
    mobile: userAgentData?.mobile ?? false,
    language,
  };
}
