import js from '@eslint/js';
import globals from 'globals';

const rules = {
  ...js.configs.recommended.rules,
  eqeqeq: 'error',
  'no-console': 'off',
  'no-shadow': 'error',
  'no-unused-vars': ['error', { args: 'all', argsIgnorePattern: '^_' }],
  'no-var': 'error',
  'prefer-const': 'error',
};

export default [
  {
    files: ['extension/**/*.js'],
    languageOptions: { globals: { ...globals.serviceworker, chrome: 'readonly' } },
    rules,
  },
  {
    files: ['extension/observe/{k6-page,k6-relay,measure-page}.js'],
    languageOptions: { sourceType: 'script', globals: { ...globals.browser, chrome: 'readonly' } },
    rules,
  },
  {
    // The extension's own pages.
    files: ['extension/ui/**/*.js', 'extension/popup/**/*.js', 'extension/options/**/*.js'],
    languageOptions: { globals: { ...globals.browser, chrome: 'readonly' } },
    rules,
  },
  {
    // One script in the page, in the order of `src/view/page.rs`.
    files: ['src/view/page/*.js'],
    languageOptions: { sourceType: 'script', globals: globals.browser },
    rules: { ...rules, 'no-undef': 'off', 'no-unused-vars': 'off' },
  },
  {
    files: ['tests/extension/**/*.js', 'eslint.config.js'],
    languageOptions: { globals: { ...globals.node, chrome: 'readonly', HTMLElement: 'readonly', HTMLButtonElement: 'readonly' } },
    rules,
  },
  {
    // What they hand to `evaluate` runs in a page.
    files: ['tests/flow/scripts/*.js', 'examples/k6/*.js', 'benches/compare/{flows,k6}.js'],
    languageOptions: { globals: { ...globals.browser, __ENV: 'readonly', __ITER: 'readonly', __VU: 'readonly' } },
    rules,
  },
  {
    files: ['src/run/test_runner/*.mjs', 'tests/playwright/*.test.js'],
    languageOptions: { globals: globals.node },
    rules,
  },
  {
    files: ['tests/support/sdk/**/*.mjs', 'benches/compare/*.mjs'],
    languageOptions: { globals: globals.node },
    rules,
  },
  {
    files: ['tests/support/sdk/web/*.js', 'benches/compare/sdk.js'],
    languageOptions: { globals: globals.browser },
    rules,
  },
  {
    files: ['tests/flow/scripts/*.mjs'],
    languageOptions: { globals: { ...globals.node, ...globals.browser, chrome: 'readonly' } },
    rules,
  },
];
