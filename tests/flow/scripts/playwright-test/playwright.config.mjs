// A project of Playwright's test runner that knows nothing of navtrace. Its tests run in the headless shell and in the full Chromium.
import { defineConfig } from '@playwright/test';

export default defineConfig({
  reporter: 'line',
  timeout: 180_000,
  projects: [{ name: 'shell' }, { name: 'full', use: { channel: 'chromium' } }],
  workers: 2,
});
