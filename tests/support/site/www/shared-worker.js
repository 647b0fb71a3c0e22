// A page knows of this fetch from the server: the worker may outlive the page that would be told.
addEventListener('connect', () => fetch('/asset/data.json?kind=shared-worker-fetch&{{Q}}'), { once: true });
