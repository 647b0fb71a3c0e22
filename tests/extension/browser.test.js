import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { describeBrowser } from '../../extension/channel/messages.js';
import { NAVIGATOR, fakeChrome } from './support/chrome.js';

beforeEach(() => void fakeChrome());

/** @param {object} changes */
const pretend = (changes) => Object.defineProperty(globalThis, 'navigator', { value: { ...NAVIGATOR, ...changes }, configurable: true });

test('a browser is described by what it says of itself', () => {
  const { userAgent } = NAVIGATOR;
  assert.deepEqual(describeBrowser(), { userAgent, brands: ['Chromium 156'], platform: 'Linux', mobile: false, language: 'en-US' });
});

for (const brand of ['Not?A_Brand', 'Not A;Brand', 'Not)A;Brand', ' Not A Brand', 'NotABrand']) {
  test(`${brand} is no brand`, () => {
    const brands = [{ brand, version: '99' }, { brand: 'Google Chrome', version: '156' }];
    pretend({ userAgentData: { brands, platform: 'Android', mobile: true } });
    const { brands: named, platform, mobile } = describeBrowser();
    assert.deepEqual({ named, platform, mobile }, { named: ['Google Chrome 156'], platform: 'Android', mobile: true });
  });
}

for (const userAgentData of [undefined, {}]) {
  test(`a browser that says ${userAgentData === undefined ? 'nothing' : 'little'} of itself is described all the same`, () => {
    pretend({ userAgentData });
    const { brands, platform, mobile } = describeBrowser();
    assert.deepEqual({ brands, platform, mobile }, { brands: [], platform: '', mobile: false });
  });
}
