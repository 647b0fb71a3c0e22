import { test } from '@playwright/test';

import { loadCoverage } from '../clients.mjs';

test('loads the coverage page', async ({ page }, { project }) => {
  await loadCoverage(page, project.name);
});
