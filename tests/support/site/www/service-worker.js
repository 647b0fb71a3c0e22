importScripts('/asset/empty.js?kind=service-worker-import&{{Q}}');

addEventListener('install', (event) => {
  event.waitUntil(
    fetch('/asset/data.json?kind=service-worker-install-fetch&{{Q}}').then((response) => {
      if (!response.ok) throw new Error('install fetch');
    }),
  );
});

addEventListener('fetch', (event) => {
  event.respondWith(
    fetch(event.request).then((response) => {
      // Shows the page that its request went through this worker.
      const headers = new Headers(response.headers);
      headers.set('x-through', 'service-worker');
      return new Response(response.body, { status: response.status, headers });
    }),
  );
});

addEventListener('message', ({ ports: [port] }) => port.postMessage('there'));
