// A project of Playwright's test runner as a user would have it.
import { defineConfig } from '@playwright/test';

export default defineConfig({
  fullyParallel: true,
  workers: 2,
  retries: 1,
  // `SECOND=1` names navtrace's reporter too, which then reports once all the same.
  reporter: [['line'], ['html', { open: 'never' }], ['junit'], [process.env.SECOND ? process.env.NAVTRACE_REPORTER : 'null']],
  use: { baseURL: process.env.SITE },
  projects: [{ name: 'web' }],
});
