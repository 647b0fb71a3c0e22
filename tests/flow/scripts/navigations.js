// Many navigations in a row, in every way that a person or a page can start one and that one can end, each with a `nav` of its own.
// NAVIGATIONS sets how many, 50 by default; the last step is finished, so there may be a few more.
import { check } from 'k6';
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

const WANTED = Number(__ENV.NAVIGATIONS || 50);

let count = 0;

/** Names the next navigation. */
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

/** Waits for the page of a navigation as a person would: until it is there. */
async function arrived(page, nav) {
  await page.waitForFunction((title) => document.title === title && window.fetched === true, { timeout: 10000 }, nav);
  check(await page.title(), { 'the page is the one navigated to': (title) => title === nav });
}

/** Points the page's link somewhere and clicks it. */
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

async function link(page) {
  const nav = next('link');
  await Promise.all([page.waitForNavigation(), follow(page, plain(nav))]);
  await arrived(page, nav);
}

async function assign(page) {
  const nav = next('assign');
  await Promise.all([
    page.waitForNavigation(),
    page.evaluate((href) => {
      window.location = href;
    }, plain(nav)),
  ]);
  await arrived(page, nav);
}

async function form(page) {
  const nav = next('form');
  await Promise.all([
    page.waitForNavigation(),
    page.evaluate((action) => {
      const element = document.createElement('form');
      Object.assign(element, { method: 'post', action });
      document.body.append(element);
      element.submit();
    }, plain(nav)),
  ]);
  await arrived(page, nav);
}

/** Goes on while the page before still has requests under way, and some to come. */
async function hasty(page) {
  await page.goto(at('/page', next('left'), { subs: 5, delay: 100 }), { waitUntil: 'domcontentloaded' });
  await assign(page);
}

async function redirect(page) {
  const nav = next('redirect');
  await page.goto(at('/redirect', nav, { n: 3, to: plain(nav) }));
  await arrived(page, nav);
}

/** Ends on the other site, so in another process. */
async function redirectAway(page) {
  const nav = next('redirect-away');
  await page.goto(at('/redirect', nav, { n: 2, to: plain(nav, __ENV.OTHER) }));
  await arrived(page, nav);
}

/**
 * Follows a link that leads nowhere, and stays. k6 blames the abort on whatever waits for a navigation when it learns of it, so nothing else
 * may begin before that.
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

/** Leads nowhere: the page stays. */
async function empty(page) {
  await stay(page, at('/empty', next('empty')));
}

/** Becomes a file: the page stays. */
async function download(page) {
  await stay(page, at('/download', next('download')));
}

/** Is stopped before its answer: the page stays. The page does it alone, since k6 won't evaluate while a navigation is under way. */
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

/** Is overtaken by the next navigation before its answer. */
async function overtaken(page) {
  const slow = at('/slow', next('overtaken'), { ms: 5000 });
  const nav = next('overtaking');
  await Promise.all([
    page.waitForNavigation(),
    page.evaluate(
      ([first, second]) => {
        window.location = first;
        setTimeout(() => {
          window.location = second;
        }, 200);
      },
      [slow, plain(nav)],
    ),
  ]);
  await arrived(page, nav);
}

/** Gets no answer: the browser shows its error page. What comes within milliseconds of a failure may share its context. */
async function reset(page) {
  try {
    await page.goto(at('/reset', next('reset')));
  } catch (error) {
    check(error, { 'the reset is seen as one': (seen) => /ERR_EMPTY_RESPONSE|ERR_CONNECTION/.test(String(seen)) });
  }
  await page.waitForTimeout(300);
  await typed(page);
}

/** Gives the page's history entry a name of its own, so that to come to it again is told apart from the first time. */
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

/** Each step begins and ends on a plain page. */
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
