const tell = (kind, ok) => postMessage({ kind, ok });
tell('worker', true);
try {
  importScripts('/asset/empty.js?kind=worker-import&{{Q}}');
  tell('worker-import', true);
} catch {
  tell('worker-import', false);
}
fetch('/asset/data.json?kind=worker-fetch&{{Q}}').then(
  (response) => tell('worker-fetch', response.ok),
  () => tell('worker-fetch', false),
);
