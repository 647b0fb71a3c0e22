/**
 * Counts the mutants of the extension that its tests kill, and prints those that survive. Fails if they are too many.
 *
 *   npm run mutants             the files that differ from where this branch left main
 *   npm run mutants -- FILE...  these files; FILE:10-20 takes lines 10 to 20 alone
 *   npm run mutants -- --all    every file, which takes one to two hours
 *
 * The report is target/mutants/index.html.
 */

import { execFileSync } from 'node:child_process';

import { Stryker } from '@stryker-mutator/core';

/** Share of the mutants that the tests kill at least, in percent. */
const KILLED = 85;

const OUTPUT = 'target/mutants';
const EVERYTHING = 'extension/**/*.js';

/** @param {...string} args @returns {string[]} the lines */
const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).split('\n').filter((line) => line !== '');

/** Returns the files that differ from where this branch left main, new ones included. */
function changedFiles() {
  const [base = ''] = git('merge-base', 'HEAD', 'main');
  const changed = git('diff', '--name-only', '--diff-filter=d', base, '--', EVERYTHING);
  return [...changed, ...git('ls-files', '--others', '--exclude-standard', '--', EVERYTHING)];
}

const args = process.argv.slice(2);
const all = args.includes('--all');
const mutate = all ? [EVERYTHING] : args.length > 0 ? args : changedFiles();
if (mutate.length === 0) {
  console.log('No file of the extension differs from main. Name files, or add --all.');
} else {
  const stryker = new Stryker({
    mutate,
    testRunner: 'tap',
    // The tests of the files' own text fail on any mutant.
    tap: { testFiles: ['tests/extension/!(layout|manifest).test.js'], nodeArgs: ['--test-reporter=tap'], forceBail: true },
    coverageAnalysis: 'perTest',
    plugins: ['@stryker-mutator/tap-runner'],
    ignorePatterns: ['*', '!package.json', '!extension/**', '!tests/extension/**', '!tests/fixtures/**'],
    logLevel: 'warn',
    reporters: ['clear-text', 'html', 'json', ...(process.stdout.isTTY ? ['progress'] : [])],
    clearTextReporter: { logTests: false, reportTests: false, allowColor: process.stdout.isTTY },
    htmlReporter: { fileName: `${OUTPUT}/index.html` },
    jsonReporter: { fileName: `${OUTPUT}/report.json` },
    tempDirName: `${OUTPUT}/sandbox`,
    thresholds: { high: KILLED, low: KILLED, break: KILLED },
  });
  await stryker.runMutationTest();
}
