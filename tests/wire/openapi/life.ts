// Add, search, change and delete a picture by the client that openapi-ts has made: life.js URL AK SK FILE.
// The compiler checks that every member that is read here is one that the document says.

import * as assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import {
  addPicture, changePicture, comparePictures, deletePicture, getPicture, putLibrary, putPicture, restorePicture, searchLibrary,
} from './made';
import { client } from './made/client.gen';

async function main(url: string, accessKey: string, secretKey: string, path: string): Promise<void> {
  client.setConfig({ baseUrl: url, auth: (scheme) => scheme.scheme === 'basic' ? `${accessKey}:${secretKey}` : undefined });
  const file = readFileSync(path);
  const image = { base64: file.toString('base64') };
  const library = 'typescript';
  const picture = { library, id: 'sku-1' };

  const made = await putLibrary({ path: { library }, body: {} });
  assert.equal(made.data?.kind, 'same', JSON.stringify(made.error));

  const put = await putPicture({ path: picture, body: { image, brief: 'red shoe', tags: ['100'] } });
  assert.deepEqual([put.data?.created, put.data?.brief, put.data?.tags], [true, 'red shoe', ['100']], JSON.stringify(put.error));
  const again = await addPicture({ path: { library }, body: { image, id: 'sku-1' } });
  assert.deepEqual([again.data?.created, again.data?.id], [false, 'sku-1'], JSON.stringify(again.error));

  const found = await searchLibrary({ path: { library }, body: { image, box: [0, 0, 1, 1], explain: true } });
  const matches = found.data?.matches.map((match) => [match.id, match.score, match.why]);
  assert.deepEqual(matches, [['sku-1', 1, 'identical']], JSON.stringify(found.error));
  const compared = await comparePictures({ body: { a: image, b: { picture: 'sku-1', library } } });
  assert.equal(compared.data?.identical, true, JSON.stringify(compared.error));

  const named = { 'If-Match': `"${put.data?.revision}"` };
  const changed = await changePicture({ path: picture, headers: named, body: { brief: 'left' } });
  assert.deepEqual([changed.data?.brief, changed.data?.tags], ['left', ['100']], JSON.stringify(changed.error));
  const stale = await deletePicture({ path: picture, headers: named });
  assert.equal(stale.error && 'code' in stale.error ? stale.error.code : undefined, 'revision_mismatch');

  assert.equal((await deletePicture({ path: picture })).response?.status, 204);
  const gone = await getPicture({ path: picture });
  assert.equal(gone.error && 'code' in gone.error ? gone.error.code : undefined, 'picture_not_found');
  assert.deepEqual((await searchLibrary({ path: { library }, body: { image } })).data?.matches, []);
  assert.equal((await restorePicture({ path: picture })).data?.state, 'live');
  console.log('done');
}

const [url, accessKey, secretKey, path] = process.argv.slice(2);
main(url!, accessKey!, secretKey!, path!).catch((reason) => { console.error(reason); process.exitCode = 1; });
