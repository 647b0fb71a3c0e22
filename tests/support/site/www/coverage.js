// Makes and observes the requests of the coverage page, and reports which failed.
// A kind whose end a page can't see (a beacon, a prerender) is ok once the server has received it. Requests of a shared worker or a prerendered
// page are `paused` if they never came, since k6 1.8.1 keeps both paused.
'use strict';
(() => {
  const Q = '{{Q}}';
  const OTHER = '{{OTHER}}';
  const LIMIT = Number(new URLSearchParams(location.search).get('limit') ?? 20_000);
  const PAUSED = ['shared-worker-fetch', 'prerender-image'];
  const asset = (name, kind, origin = '') => `${origin}/asset/${name}?kind=${kind}&${Q}`;

  /** Promises by kind, each of which resolves to 'ok' or to the reason of the failure. */
  const outcomes = new Map();

  function outcome(kind) {
    if (!outcomes.has(kind)) {
      const entry = {};
      entry.settled = new Promise((resolve) => {
        entry.settle = resolve;
        // Kinds that may be paused are given up last, by finish().
        if (!PAUSED.includes(kind)) setTimeout(() => resolve('timeout'), LIMIT);
      });
      outcomes.set(kind, entry);
    }
    return outcomes.get(kind);
  }

  const settle = (kind, ok, reason = 'error') => outcome(kind).settle(ok ? 'ok' : reason);

  /** Settles a kind with the result of a function. */
  async function attempt(kind, action) {
    outcome(kind);
    try {
      settle(kind, (await action()) !== false);
    } catch (error) {
      settle(kind, false, String(error));
    }
  }

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  async function get(url, options) {
    const response = await fetch(url, options);
    await response.text();
    return response.ok;
  }

  // Elements. `load` and `error` don't bubble, but can be captured.
  for (const type of ['load', 'loadeddata', 'error']) {
    document.addEventListener(
      type,
      ({ target }) => {
        const kind = target.dataset?.kind;
        if (kind) settle(kind, type !== 'error');
      },
      true,
    );
  }

  // Frames, popups and workers.
  const heard = ({ data }) => data?.kind && settle(data.kind, data.ok, data.reason);
  addEventListener('message', heard);

  const SEEN = [
    'css-image',
    'favicon',
    'beacon',
    'fetch-later',
    'ping',
    'preflight',
    'speculation-prefetch',
    'speculation-prerender',
    'shared-worker',
    ...PAUSED,
  ];
  const MESSAGES = [
    'iframe',
    'iframe-cross',
    'iframe-cross-fetch',
    'iframe-sandbox',
    'sandbox-image',
    'srcdoc-image',
    'form-post',
    'popup',
    'module-import',
    'worker',
    'worker-import',
    'worker-fetch',
    'service-worker-page',
    'service-worker-page-fetch',
    'navigation-preload',
  ];

  async function pollSeen() {
    while (!window.done) {
      const seen = await (await fetch(`/seen?${Q}`)).json();
      SEEN.filter((kind) => seen[kind]).forEach((kind) => settle(kind, true));
      if (SEEN.every((kind) => seen[kind])) return;
      await pause(50);
    }
  }

  function xhr(kind, async) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open('GET', asset('data.json', kind), async);
      request.onload = () => resolve(request.status === 200);
      request.onerror = () => reject(new Error('network'));
      request.send();
    });
  }

  function eventSource() {
    return new Promise((resolve, reject) => {
      const source = new EventSource(`/events?kind=eventsource&${Q}`);
      source.onmessage = () => resolve(source.close());
      source.onerror = () => reject(new Error('no event'));
    });
  }

  function webSocket() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws?kind=websocket&${Q}`);
      socket.onmessage = () => resolve();
      socket.onerror = () => reject(new Error('no handshake'));
    });
  }

  function workers() {
    const worker = new Worker(asset('worker.js', 'worker'));
    worker.onmessage = heard;
    worker.onerror = () => settle('worker', false);
    const shared = new SharedWorker(asset('shared-worker.js', 'shared-worker'));
    shared.port.start();
    shared.onerror = () => settle('shared-worker', false);
  }

  /** Waits until a service worker answers. Otherwise the browser would load the page without it. */
  function answer(worker) {
    const { port1, port2 } = new MessageChannel();
    return new Promise((resolve) => {
      port1.onmessage = resolve;
      worker.postMessage('there?', [port2]);
    });
  }

  /**
   * Registers a service worker for a scope of this load, loads a page there, and waits until the page has reported its last kind.
   */
  async function inScope(scope, script, page, last) {
    const registration = await navigator.serviceWorker.register(script, { scope });
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    await new Promise((resolve, reject) => {
      const look = () => {
        if (worker.state === 'activated') resolve();
        if (worker.state === 'redundant') reject(new Error('not installed'));
      };
      worker.onstatechange = look;
      look();
    });
    await answer(worker);
    const frame = document.createElement('iframe');
    frame.src = `${scope}${page}`;
    document.body.append(frame);
    await outcome(last).settled;
    // Otherwise the browser checks for a newer script some time later, and the number of requests is random.
    await registration.unregister();
  }

  async function serviceWorker() {
    const script = `/sw/service-worker.js?kind=service-worker&${Q}`;
    const page = `service-worker-page.html?kind=service-worker-page&${Q}`;
    await inScope('/sw/{{RUN}}/{{NAV}}/', script, page, 'service-worker-page-fetch');
    settle('service-worker-import', true);
    settle('service-worker-install-fetch', true);
  }

  const navigationPreload = () =>
    inScope(
      '/sw/{{RUN}}/{{NAV}}-preload/',
      `/sw/navigation-preload.js?kind=navigation-preload-worker&${Q}`,
      `frame.html?kind=navigation-preload&${Q}`,
      'navigation-preload',
    );

  function run() {
    document.querySelectorAll('[data-kind]').forEach((element) => outcome(element.dataset.kind));
    [...SEEN, ...MESSAGES, 'css-import', 'service-worker-import', 'service-worker-install-fetch'].forEach(outcome);
    pollSeen();

    attempt('font', async () => (await document.fonts.load('16px probe')).length > 0);
    attempt('fetch', () => get(asset('data.json', 'fetch')));
    attempt('fetch-cross', () => get(asset('data.json', 'fetch-cross', OTHER)));
    attempt('fetch-preflight', () => get(asset('data.json', 'fetch-preflight', OTHER), { headers: { 'x-own': '1' } }));
    attempt('fetch-redirect', () => get(`/redirect?n=1&to=%2Fasset%2Fdata.json&kind=fetch-redirect&${Q}`));
    attempt('fetch-keepalive', () => get(asset('data.json', 'fetch-keepalive'), { method: 'POST', keepalive: true, body: 'a' }));
    if (location.protocol === 'https:') {
      const streamed = { method: 'POST', body: new Blob(['a']).stream(), duplex: 'half' };
      attempt('fetch-stream', () => get(asset('data.json', 'fetch-stream'), streamed));
    }
    attempt('xhr', () => xhr('xhr', true));
    attempt('xhr-sync', () => xhr('xhr-sync', false));
    attempt('eventsource', eventSource);
    attempt('websocket', webSocket);
    attempt('service-worker', serviceWorker);
    attempt('navigation-preload-worker', navigationPreload);
    workers();

    document.getElementById('form').submit();
    document.getElementById('ping').click();
    try {
      fetchLater(asset('data.json', 'fetch-later'), { activateAfter: 0 });
    } catch (error) {
      settle('fetch-later', false, String(error));
    }
    if (!navigator.sendBeacon(asset('data.json', 'beacon'), 'a')) settle('beacon', false, 'refused');
    const popup = window.open(`${asset('frame.html', 'popup')}-popup`, '_blank');
    if (!popup) settle('popup', false, 'blocked');
    outcome('popup').settled.then(() => popup?.close());
  }

  async function finish() {
    const sure = [...outcomes].filter(([kind]) => !PAUSED.includes(kind));
    await Promise.all(sure.map(([, { settled }]) => settled));
    await Promise.race([pause(500), Promise.all(PAUSED.map((kind) => outcome(kind).settled))]);
    PAUSED.forEach((kind) => outcome(kind).settle('paused'));
    const results = {};
    for (const [kind, { settled }] of outcomes) results[kind] = await settled;
    window.results = results;
    document.getElementById('result').textContent = Object.entries(results)
      .map(([kind, result]) => `${kind} ${result}\n`)
      .join('');
    document.title = 'done';
    window.done = true;
  }

  const loaded = new Promise((resolve) => addEventListener('load', resolve));
  document.addEventListener('DOMContentLoaded', async () => {
    run();
    // A resource that hangs delays `load`, but not the results.
    await Promise.race([loaded, pause(LIMIT)]);
    // The `load` of the style comes after its imports. Only the page shows whether the import was applied.
    attempt('css-import', () => getComputedStyle(document.body).getPropertyValue('--imported').trim() === '1');
    finish();
  });
})();
