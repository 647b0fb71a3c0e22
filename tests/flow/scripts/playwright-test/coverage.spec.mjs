import { test } from '@playwright/test';

import { load } from '../clients.mjs';

test('loads the coverage page', async ({ page }, { project }) => {
  await load(page, project.name);
});
