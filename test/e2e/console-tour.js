// The way through the console that the test walks and the pictures are taken on.

/** Signs in and looks at every place; look is told of each. */
export async function tour(page, url, key, look) {
  await page.goto(`${url}/console`);
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Overview', exact: true }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.plot canvas').length === 6);
  await look('overview');
  for (const [name, table] of [
    ['Invitations', 'Open invitations'],
    ['Calls', 'Call records'],
    ['Connections', 'Connected devices'],
    ['People', 'People'],
    ['Groups', 'Groups'],
    ['Queues', 'Webhooks'],
  ]) {
    await page.getByRole('button', { name, exact: true }).click();
    await page.getByRole('heading', { name, exact: true }).waitFor();
    await page.getByRole('table', { name: table }).waitFor();
    await look(name.toLowerCase());
  }
}

/** Opens the story of an invitation. */
export async function story(page, inviteID) {
  await page.getByRole('button', { name: 'Invitations', exact: true }).click();
  await page.getByLabel('Any invitation').fill(inviteID);
  await page.getByRole('button', { name: 'Look' }).click();
  const region = page.getByRole('region', { name: `Invitation ${inviteID}` });
  await region.getByRole('listitem').first().waitFor();
  return region;
}
