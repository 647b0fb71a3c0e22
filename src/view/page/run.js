// All traces of a run together: totals and tables.

/**
 * @typedef {{count: number, p50Ms: number, p95Ms: number, p99Ms: number, maxMs: number}} Statistics
 * @typedef {{kind: string, service: string, name: string}} Operation
 * @typedef {{runs: string[], totals: {files: number, startMs: number, durationMs: number, traces: number, failedTraces: number, spans: number, errors: number,
 *     requests: number, failedRequests: number, cachedRequests: number, services: string[]},
 *   failures: (Operation & {reason: string, count: number, traceId: string, spanId: string})[],
 *   slowest: (Operation & {durationMs: number, error: boolean, machine: string, traceId: string, spanId: string})[],
 *   operations: (Operation & Statistics & {errors: number})[], leftOutSpans: number, leftOutTests: number, furtherTraceSpans: number,
 *   tests: (Statistics & {name: string, failed: number})[],
 *   machines: {name: string, tests: number, failedTests: number, failedRequests: number, requests: Statistics}[], unreadable: string[]}} Run
 * @typedef {(traceId: string, spanId: string) => void} OpenSpan opens a span
 */

/** Limit for the rows of a table. */
const MAX_RUN_ROWS = 200;

/** Returns what is shown of a run. `openable` has the ids of the traces that `open` can open. */
function runParts(/** @type {Run} */ run, /** @type {Set<string>} */ openable, /** @type {OpenSpan} */ open) {
  const { totals } = run;
  const time = (/** @type {number} */ ms) => duration(Math.round(ms * 1000));
  const failed = (/** @type {number} */ count) => element('span', count > 0 ? 'bad' : '', count.toLocaleString('en'));
  const times = (/** @type {Statistics} */ { p50Ms, p95Ms, p99Ms, maxMs }) => [p50Ms, p95Ms, p99Ms, maxMs].map(time);
  const trace = (/** @type {{traceId: string, spanId: string}} */ { traceId, spanId }) => {
    if (!openable.has(traceId)) return element('code', '', traceId);
    const button = element('button', 'id', traceId);
    button.type = 'button';
    button.addEventListener('click', () => open(traceId, spanId));
    return button;
  };
  const facts = element('p', 'facts');
  const parts = [counted(totals.traces, 'trace'), `${totals.failedTraces.toLocaleString('en')} failed`, counted(totals.spans, 'span'), counted(totals.errors, 'error')];
  const requests = [counted(totals.requests, 'request'), `${totals.failedRequests.toLocaleString('en')} failed`, `${totals.cachedRequests.toLocaleString('en')} from cache`];
  facts.textContent = [clock(totals.startMs), time(totals.durationMs), counted(totals.files, 'file'), ...parts, ...requests, totals.services.join(', ')].join(' · ');
  const leftOut = (/** @type {number} */ count, /** @type {string} */ noun, /** @type {string} */ of) => (count > 0 ? `${counted(count, noun)} of further ${of}` : '');
  const further = leftOut(run.furtherTraceSpans, 'span', 'traces, which are not counted here, nor are their tests');
  const percentiles = ['p50', 'p95', 'p99', 'max'];
  const tables = [
    runTable('Failures', ['Count', 'First trace', 'Reason', 'Kind', 'Service', 'Operation'], run.failures, (row) => [failed(row.count), trace(row), row.reason, row.kind, row.service, row.name]),
    runTable('Slowest requests', ['Duration', 'Trace', 'Machine', 'Service', 'Operation'], run.slowest, (row) => [element('span', row.error ? 'bad' : '', time(row.durationMs)), trace(row), row.machine, row.service, row.name]),
    runTable('Endpoints', ['Count', 'Errors', ...percentiles, 'Kind', 'Service', 'Operation'], run.operations, (row) => [row.count, failed(row.errors), ...times(row), row.kind, row.service, row.name], leftOut(run.leftOutSpans, 'span', 'endpoints')),
    runTable('Tests', ['Count', 'Failed', ...percentiles, 'Test'], run.tests, (row) => [row.count, failed(row.failed), ...times(row), row.name], leftOut(run.leftOutTests, 'test', 'names')),
    runTable('Machines', ['Requests', 'Failed', ...percentiles, 'Tests', 'Failed tests', 'Machine'], run.machines, (row) => [
      row.requests.count, failed(row.failedRequests), ...times(row.requests), row.tests, failed(row.failedTests), row.name,
    ]),
  ];
  const unreadable = run.unreadable.map((sentence) => element('p', 'bad', sentence));
  return [element('h2', '', `All traces${run.runs.length > 0 ? ` of run ${run.runs.join(', ')}` : ''}`), facts, ...notes([further]), ...unreadable, ...tables.flat()];
}

/** Creates a paragraph for each text that is not empty. */
function notes(/** @type {string[]} */ texts) {
  return texts.filter((text) => text !== '').map((text) => element('p', 'facts', text));
}

/**
 * Creates a table with its heading; nothing without rows. `leftOut` says what has no row.
 * @template Row
 * @param {string} title @param {string[]} columns @param {Row[]} rows @param {(row: Row) => (string|number|HTMLElement)[]} cells @param {string} leftOut
 */
function runTable(title, columns, rows, cells, leftOut = '') {
  if (rows.length === 0) return [];
  const head = element('tr');
  head.append(...columns.map((column) => {
    const cell = element('th', '', column);
    cell.setAttribute('scope', 'col');
    return cell;
  }));
  const body = element('tbody');
  for (const row of rows.slice(0, MAX_RUN_ROWS)) {
    const line = element('tr');
    for (const content of cells(row)) {
      const cell = element('td', typeof content === 'number' ? 'number' : '', typeof content === 'number' ? content.toLocaleString('en') : '');
      if (typeof content !== 'number') cell.append(content);
      line.append(cell);
    }
    body.append(line);
  }
  const table = element('table');
  const header = element('thead');
  header.append(head);
  table.append(header, body);
  const scroller = element('div', 'scroller');
  scroller.tabIndex = 0;
  scroller.setAttribute('role', 'region');
  scroller.setAttribute('aria-label', title);
  scroller.append(table);
  const further = rows.length > MAX_RUN_ROWS ? `and ${(rows.length - MAX_RUN_ROWS).toLocaleString('en')} more` : '';
  return [element('h3', '', title), scroller, ...notes([further, leftOut])];
}
