import('/asset/empty.js?kind=module-import&{{Q}}')
  .then(() => window.postMessage({ kind: 'module-import', ok: true }))
  .catch((error) => window.postMessage({ kind: 'module-import', ok: false, reason: String(error) }));
