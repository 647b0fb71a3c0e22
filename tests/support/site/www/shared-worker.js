// The page asks the server about this fetch, since the worker may outlive the page.
addEventListener('connect', () => fetch('/asset/data.json?kind=shared-worker-fetch&{{Q}}'), { once: true });
