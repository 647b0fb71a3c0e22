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
    files: ['tests/extension/**/*.js', 'eslint.config.js'],
    languageOptions: { globals: { ...globals.node, chrome: 'readonly' } },
    rules,
  },
];
