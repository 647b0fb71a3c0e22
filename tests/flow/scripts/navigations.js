// Navigates in every way that a person or a page can, with every kind of end. Each navigation has its own `nav`.
// NAVIGATIONS is the minimum number, 50 by default.
import { check } from 'k6';
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

const WANTED = Number(__ENV.NAVIGATIONS || 50);

let count = 0;

/** Returns a name for the next navigation. */
function next(how) {
  count += 1;
  return `${run()}-${count}-${how}`;
}

function at(path, nav, query, origin) {
  return url(path, { kind: 'document', run: run(), nav, ...query }, origin);
}

function plain(nav, origin) {
  return at('/page', nav, { subs: 5 }, origin);
}

/** Waits until the page of a navigation is loaded. */
async function arrived(page, nav) {
  await page.waitForFunction((title) => document.title === title && window.fetched === true, { timeout: 10000 }, nav);
  check(await page.title(), { 'the page is the one navigated to': (title) => title === nav });
}

/** Sets the target of the page's link and clicks it. */
async function follow(page, target) {
  await page.evaluate((href) => {
    document.getElementById('next').href = href;
  }, target);
  await page.locator('#next').click();
}

async function typed(page) {
  const nav = next('typed');
  await page.goto(plain(nav));
  await arrived(page, nav);
}

/** Waits for a navigation to a URL. Without one, k6 fails if it learns only now that the navigation before was aborted: in 3 of 200. */
async function navigated(page, target) {
  await page.waitForNavigation({ url: target });
}

async function link(page) {
  const nav = next('link');
  const target = plain(nav);
  await Promise.all([navigated(page, target), follow(page, target)]);
  await arrived(page, nav);
}

async function assign(page) {
  const nav = next('assign');
  const target = plain(nav);
  await Promise.all([
    navigated(page, target),
    page.evaluate((href) => {
      window.location = href;
    }, target),
  ]);
  await arrived(page, nav);
}

async function form(page) {
  const nav = next('form');
  const target = plain(nav);
  await Promise.all([
    navigated(page, target),
    page.evaluate((action) => {
      const element = document.createElement('form');
      Object.assign(element, { method: 'post', action });
      document.body.append(element);
      element.submit();
    }, target),
  ]);
  await arrived(page, nav);
}

/** Navigates while the page before still makes requests. */
async function hasty(page) {
  await page.goto(at('/page', next('left'), { subs: 5, delay: 100 }), { waitUntil: 'domcontentloaded' });
  await assign(page);
}

async function redirect(page) {
  const nav = next('redirect');
  await page.goto(at('/redirect', nav, { n: 3, to: plain(nav) }));
  await arrived(page, nav);
}

/** Ends on the other site, in another process. */
async function redirectAway(page) {
  const nav = next('redirect-away');
  await page.goto(at('/redirect', nav, { n: 2, to: plain(nav, __ENV.OTHER) }));
  await arrived(page, nav);
}

/**
 * Follows a link to a navigation that is aborted, so the page stays. k6 reports the abort to any navigation that it waits for at that time, so none
 * may start before.
 */
async function stay(page, target) {
  const response = page.waitForResponse(target);
  try {
    await follow(page, target);
  } catch (error) {
    if (!String(error).includes('ERR_ABORTED')) throw error;
  }
  await response;
  await page.waitForTimeout(300);
}

/** Gets a 204, so the page stays. */
async function empty(page) {
  await stay(page, at('/empty', next('empty')));
}

/** Becomes a download, so the page stays. */
async function download(page) {
  await stay(page, at('/download', next('download')));
}

/** Is stopped by the page itself before the response, since k6 does not evaluate scripts during a navigation. */
async function stopped(page) {
  await page.evaluate(
    (href) =>
      new Promise((resolve) => {
        window.location = href;
        setTimeout(() => resolve(window.stop()), 200);
      }),
    at('/slow', next('stopped'), { ms: 5000 }),
  );
  await page.waitForTimeout(300);
}

/** Is replaced by the next navigation before the response. */
async function overtaken(page) {
  const slow = at('/slow', next('overtaken'), { ms: 5000 });
  const nav = next('overtaking');
  const target = plain(nav);
  await Promise.all([
    navigated(page, target),
    page.evaluate(
      ([first, second]) => {
        window.location = first;
        setTimeout(() => {
          window.location = second;
        }, 200);
      },
      [slow, target],
    ),
  ]);
  await arrived(page, nav);
}

/** Gets no response, so the browser shows an error page. A request within milliseconds of a failure may share its context. */
async function reset(page) {
  try {
    await page.goto(at('/reset', next('reset')));
  } catch (error) {
    check(error, { 'the reset is seen as one': (seen) => /ERR_EMPTY_RESPONSE|ERR_CONNECTION/.test(String(seen)) });
  }
  await page.waitForTimeout(300);
  await typed(page);
}

/** Renames the page's history entry, so that going back to it differs from the first visit. */
async function rename(page, nav) {
  await page.evaluate((href) => history.replaceState(null, '', href), plain(nav));
}

async function reload(page) {
  await typed(page);
  const nav = next('reload');
  await rename(page, nav);
  await page.reload();
  await arrived(page, nav);
}

async function back(page) {
  await typed(page);
  const nav = next('back');
  await rename(page, nav);
  await link(page);
  await page.goBack();
  await arrived(page, nav);
}

async function popups(page) {
  const [open, blank] = [next('popup'), next('blank')];
  const opener = next('opener');
  await page.goto(at('/opener', opener, { open, blank }));
  for (const [selector, nav] of [
    ['#open-0', open],
    ['#blank-0', blank],
  ]) {
    const [popup] = await Promise.all([page.context().waitForEvent('page'), page.locator(selector).click()]);
    await arrived(popup, nav);
    await popup.close();
  }
  await typed(page);
}

async function twoTabs(page) {
  const other = await page.context().newPage();
  const walk = async (tab) => {
    await typed(tab);
    await link(tab);
    await assign(tab);
  };
  await Promise.all([walk(page), walk(other)]);
  await other.close();
}

/** The steps, each of which begins and ends on a plain page. */
const ROUND = [
  typed,
  link,
  assign,
  hasty,
  redirect,
  link,
  empty,
  link,
  stopped,
  link,
  overtaken,
  form,
  redirectAway,
  reset,
  download,
  link,
  reload,
  back,
  popups,
  twoTabs,
];

export default async function () {
  count = 0;
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    for (let i = 0; count < WANTED; i++) await ROUND[i % ROUND.length](page);
    console.log(`NAVIGATIONS ${count}`);
  } finally {
    await context.close();
  }
}
