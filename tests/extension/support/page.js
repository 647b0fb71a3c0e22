/**
 * The extension's pages in a DOM, each with its connections to a worker.
 */

import { readFileSync } from 'node:fs';
import { mock } from 'node:test';

import { settled } from './chrome.js';

// A name that is not literal, because the types of happy-dom do not compile with those of Node 20.
const { Window } = await import(String('happy-dom'));

/** @typedef {{ name: string, sent: any[], say: (message: unknown) => void, disconnect: () => void }} PagePort */

let pages = 0;

/** Resets all mocks and the clock, which then stands still. */
export function resetClock() {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1_700_000_000_000 });
}

/**
 * Makes the globals of a page.
 *
 * @param {string} html
 * @param {string} [address] below the extension's folder
 */
export function makeDocument(html, address = '') {
  const window = new Window({ url: `chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/${address}` });
  // Nothing is loaded: the test imports the script itself.
  window.document.documentElement.innerHTML = html.replaceAll(/<(script|link)\b[^>]*>(<\/script>)?/g, '');
  const types = Object.getOwnPropertyNames(window).filter((name) => /^(HTML.*Element|Element|Event)$/.test(name));
  for (const name of ['document', 'location', 'navigator', ...types]) {
    Object.defineProperty(globalThis, name, { value: window[name], configurable: true, writable: true });
  }
  // happy-dom has no `Option`.
  const Option = function (/** @type {string} */ text, /** @type {string} */ value) {
    return Object.assign(window.document.createElement('option'), { text, value });
  };
  Object.assign(globalThis, { Option, getSelection: () => window.getSelection() });
  /** @param {string} id @returns {any} the element with this id */
  const find = (id) => {
    const found = window.document.getElementById(id);
    if (found === null) throw new Error(`the page has no #${id}`);
    return found;
  };
  /** @param {any} element @param {string} name */
  const fire = (element, name) => element.dispatchEvent(new window.Event(name, { bubbles: true, cancelable: true }));
  /** Enters a text as a user does. @param {any} element @param {string} text */
  const type = (element, text) => {
    element.value = text;
    fire(element, 'input');
    fire(element, 'change');
  };
  return { window, document: window.document, find, fire, type };
}

/** Makes a document with the HTML of a page. @param {'popup' | 'options'} name @param {string} [query] */
export function makePage(name, query = '') {
  const html = readFileSync(new URL(`../../../extension/${name}/${name}.html`, import.meta.url), 'utf8');
  return makeDocument(html, `${name}/${name}.html${query}`);
}

/** Installs the part of `chrome` that pages use. @param {{ id: number }[]} [active] the active tabs */
export function fakeRuntime(active = [{ id: 100 }]) {
  /** @type {PagePort[]} */
  const ports = [];
  const state = { broken: false };
  const activeTabs = mock.fn((/** @type {object} */ _query) => Promise.resolve(active));
  const runtime = {
    reload: mock.fn(),
    openOptionsPage: mock.fn(async () => {}),
    /** @param {{ name: string }} options */
    connect({ name }) {
      if (state.broken) throw new Error('Extension context invalidated.');
      /** @type {((message: unknown) => void)[]} */
      const listeners = [];
      /** @type {(() => void)[]} */
      const ends = [];
      /** @type {any[]} */
      const sent = [];
      let isOpen = true;
      ports.push({
        name,
        sent,
        say: (message) => listeners.forEach((listener) => listener(structuredClone(message))),
        disconnect: () => {
          isOpen = false;
          ends.forEach((end) => end());
        },
      });
      return {
        onMessage: { addListener: (/** @type {any} */ listener) => void listeners.push(listener) },
        onDisconnect: { addListener: (/** @type {any} */ listener) => void ends.push(listener) },
        /** @param {unknown} message */
        postMessage: (message) => {
          if (!isOpen) throw new Error('Attempting to use a disconnected port object');
          sent.push(structuredClone(message));
        },
      };
    },
  };
  Object.assign(globalThis, { chrome: { runtime, tabs: { query: activeTabs } } });
  return { ports, state, runtime, activeTabs };
}

/**
 * Opens a page of the extension.
 *
 * @param {'popup' | 'options'} name
 * @param {{ query?: string, active?: { id: number }[] }} [options] the query of its address, and the active tabs
 */
export async function openPage(name, { query = '', active } = {}) {
  pages += 1;
  const page = makePage(name, query);
  const browser = fakeRuntime(active);
  await import(String(new URL(`../../../extension/${name}/${name}.js?page-${pages}`, import.meta.url)));
  await settled();
  /** @param {unknown} message */
  const say = (message) => browser.ports.at(-1)?.say(message);
  /** Returns the commands that the page has sent over its latest connection, without the greeting. */
  const commands = () => (browser.ports.at(-1)?.sent ?? []).slice(1);
  return { ...page, ...browser, say, commands };
}
