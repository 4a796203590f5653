// A tour of the console, for the test and the screenshots.

/** Signs in and opens each page of the console. It calls visit with the name of each. */
export async function tour(page, url, key, visit) {
  await page.goto(`${url}/console`);
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Overview', exact: true }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.plot canvas').length === 7);
  await visit('overview');
  for (const [name, table] of [
    ['Invitations', 'Open invitations'],
    ['Calls', 'Call records'],
    ['Connections', 'Connected devices'],
    ['Users', 'Users'],
    ['Groups', 'Groups'],
    ['Queues', 'Webhooks'],
    ['Erasures', 'Erasures'],
  ]) {
    await page.getByRole('button', { name, exact: true }).click();
    await page.getByRole('heading', { name, exact: true }).waitFor();
    await page.getByRole('table', { name: table }).waitFor();
    await visit(name.toLowerCase());
  }
}

/** Opens the events of an invitation and returns their region. */
export async function story(page, inviteID) {
  await page.getByRole('button', { name: 'Invitations', exact: true }).click();
  await page.getByLabel('Invitation ID').fill(inviteID);
  await page.getByRole('button', { name: 'Show' }).click();
  const region = page.getByRole('region', { name: `Invitation ${inviteID}` });
  await region.getByRole('listitem').first().waitFor();
  return region;
}
