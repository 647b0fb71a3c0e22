import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { test } from 'node:test';

const ROOT = new URL('../../extension/', import.meta.url);

/** Longest file, in lines. */
const MAX_LINES = 350;

/** The extension's own code, by path: without what is generated. */
const files = new Map(
  readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(js|d\.ts)$/.test(path) && path !== 'protocol.d.ts')
    .map((path) => [path, readFileSync(new URL(path, ROOT), 'utf8')]),
);

/** The folder of a file; a file of the root stands for itself. @param {string} path */
const folderOf = (path) => (path.includes('/') ? posix.dirname(path) : path);

/**
 * Finds which folders each folder imports from.
 *
 * @param {RegExp} imports with the path as its only group
 * @returns {Map<string, Set<string>>}
 */
function arrows(imports) {
  /** @type {Map<string, Set<string>>} */
  const found = new Map();
  for (const [path, source] of files) {
    const from = folderOf(path);
    const to = found.get(from) ?? new Set();
    found.set(from, to);
    for (const [, target = ''] of source.matchAll(imports)) to.add(folderOf(posix.join(posix.dirname(path), target)));
    to.delete(from);
  }
  return found;
}

/**
 * Finds a cycle of folders.
 *
 * @param {Map<string, Set<string>>} graph
 * @returns {string[] | null}
 */
function cycle(graph) {
  /** @type {Set<string>} */
  const done = new Set();
  /** @param {string} folder @param {string[]} path @returns {string[] | null} */
  const visit = (folder, path) => {
    if (path.includes(folder)) return [...path.slice(path.indexOf(folder)), folder];
    if (done.has(folder)) return null;
    for (const next of graph.get(folder) ?? []) {
      const found = visit(next, [...path, folder]);
      if (found !== null) return found;
    }
    done.add(folder);
    return null;
  };
  for (const folder of graph.keys()) {
    const found = visit(folder, []);
    if (found !== null) return found;
  }
  return null;
}

const RUNTIME = /^import .* from '(\.[^']*)';$/gm;
const TYPES = /(?:@import .* from |import\()'(\.[^']*)'/g;

test('a cycle is found', () => {
  const graph = (/** @type {Record<string, string[]>} */ arrowsOf) => new Map(Object.entries(arrowsOf).map(([from, to]) => [from, new Set(to)]));
  assert.deepEqual(cycle(graph({ a: ['b'], b: ['c'], c: ['b'] })), ['b', 'c', 'b']);
  assert.equal(cycle(graph({ a: ['b', 'c'], b: ['c'], c: [] })), null);
});

test('folders do not import each other in a cycle', () => {
  const graph = arrows(RUNTIME);
  assert.ok(graph.get('headers')?.has('context'), 'imports are found');
  assert.deepEqual(cycle(graph), null);
});

test('folders do not use types of each other in a cycle', () => {
  const graph = arrows(TYPES);
  assert.ok(graph.get('popup')?.has('pages'), 'imports are found');
  assert.deepEqual(cycle(graph), null);
});

/** Finds the modules that a module imports, itself included. @param {string} path @param {Set<string>} [found] */
function modulesOf(path, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, target = ''] of files.get(path)?.matchAll(RUNTIME) ?? []) modulesOf(posix.join(posix.dirname(path), target), found);
  return found;
}

// The launcher joins them into one file.
test("no two of the worker's modules declare the same name", () => {
  /** @type {Map<string, string>} */
  const owners = new Map();
  const twice = [];
  for (const path of modulesOf('service-worker.js')) {
    for (const [, name = ''] of files.get(path)?.matchAll(/^(?:export )?(?:async )?(?:class|const|function|let) (\w+)/gm) ?? []) {
      if (owners.has(name)) twice.push(`${name}: ${owners.get(name)}, ${path}`);
      owners.set(name, path);
    }
  }
  assert.ok(owners.has('Session') && owners.has('lightweightRules'), 'names are found');
  assert.deepEqual(twice, []);
});

test(`no file is longer than ${MAX_LINES} lines`, () => {
  const long = [...files].filter(([, source]) => source.split('\n').length - 1 > MAX_LINES).map(([path]) => path);
  assert.deepEqual(long, []);
});
