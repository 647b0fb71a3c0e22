addEventListener('activate', (event) => event.waitUntil(registration.navigationPreload.enable()));

addEventListener('fetch', (event) => {
  if (event.request.mode !== 'navigate') return;
  event.respondWith(
    event.preloadResponse.then((response) => {
      if (response === undefined) throw new Error('no response was preloaded');
      return response;
    }),
  );
});

addEventListener('message', ({ ports: [port] }) => port.postMessage('there'));
