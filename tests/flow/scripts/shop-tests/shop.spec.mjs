import { expect, test } from '@playwright/test';

/** A page with subresources and fetches of its own, whose requests name the test. @param {string} run @param {number} nav */
const page = (run, nav) => `/page?subs=3&run=${run}&nav=${nav}`;

test.describe('cart', () => {
  test.beforeEach(async ({ page: tab }, { retry, title }) => {
    await tab.goto(page(`${title}-${retry}`, 0));
  });

  test('passes', { tag: '@smoke' }, async ({ page: tab }) => {
    await test.step('goes on', async () => {
      await tab.goto(page('passes-0', 2));
      await tab.reload();
    });
    await expect(tab).toHaveURL(/nav=2/);
  });

  test('fails', async ({ page: tab, request }, { retry }) => {
    await request.get(`/page?run=fails-${retry}&nav=api&token=abc`);
    await expect(tab, 'is another page').toHaveURL(/elsewhere/, { timeout: 200 });
  });
});

test('two people', async ({ browser }) => {
  const contexts = await Promise.all([browser.newContext(), browser.newContext()]);
  for (const [nav, context] of contexts.entries()) {
    const tab = await context.newPage();
    await tab.goto(page('people-0', nav));
  }
  await contexts[0].close();
});

test.skip('never runs', async () => {});
