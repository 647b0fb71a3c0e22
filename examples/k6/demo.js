// An ordinary k6 browser test of the shop in examples/shop. It knows nothing of navtrace.
//
//   k6 run examples/k6/demo.js                    as it is
//   navtrace run -- k6 run examples/k6/demo.js    the same, traced

import { check } from 'k6';
import { browser } from 'k6/browser';

const SHOP = __ENV.SHOP_URL || 'http://127.0.0.1:8765';

export const options = {
  scenarios: {
    shopping: {
      executor: 'per-vu-iterations',
      vus: 1,
      iterations: 3,
      options: { browser: { type: 'chromium' } },
    },
  },
  thresholds: { checks: ['rate==1'] },
};

export default async function () {
  const page = await browser.newPage();
  try {
    await lookAround(page);
    await chooseProduct(page);
    await addToCart(page);
    await checkOut(page);
  } finally {
    await page.close();
  }
}

async function lookAround(page) {
  const response = await page.goto(`${SHOP}/`);
  await page.locator('#products .card:last-child').waitFor();
  check(
    { status: response.status(), cards: await page.locator('#products .card').count() },
    {
      'the home page answers': (home) => home.status === 200,
      'it shows all six products': (home) => home.cards === 6,
    },
  );
}

async function chooseProduct(page) {
  await follow(page, '#products a[href="/products/kettle"]');
  await page.locator('#recommendations .card:last-child').waitFor();
  check(
    { name: await page.locator('#name').textContent(), price: await page.locator('#price').textContent() },
    {
      'the product has its name': (product) => product.name === 'Whistling kettle',
      'the product has a price': (product) => product.price === '€49.00',
    },
  );
}

async function addToCart(page) {
  await page.locator('input[name="quantity"]').fill('2');
  await follow(page, '#add');
  await page.locator('#to-checkout').waitFor();
  check(await page.locator('tr.total').textContent(), {
    'the cart adds up': (total) => total.includes('€98.00'),
  });
}

async function checkOut(page) {
  await follow(page, '#to-checkout');
  await page.locator('input[name="name"]').fill('Ada Lovelace');
  await page.locator('input[name="address"]').fill('12 St James’s Square, London');
  await page.locator('#order button').click();
  await page.locator('#confirmation:not(:empty)').waitFor();
  check(await page.locator('#confirmation').textContent(), {
    'the order is accepted': (text) => /^Order \d{6} over €98\.00/.test(text),
  });
}

// Clicks on something that leads to another page, and waits for that page.
async function follow(page, selector) {
  await Promise.all([page.waitForNavigation(), page.locator(selector).click()]);
}
