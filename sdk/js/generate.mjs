// Makes src/schema.ts from what the server says of itself: the types of every verb, and which verbs name their calls.
// Usage: node generate.mjs openapi.json   (make sdk writes that file with "beckon openapi")
import { readFileSync, writeFileSync } from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';

const doc = JSON.parse(readFileSync(process.argv[2], 'utf8'), (_, v) =>
  // A list is never null on the wire: it is there, or left out.
  v && Array.isArray(v.type) && v.type.length === 2 && v.type[1] === 'null' ? { ...v, type: v.type[0] } : v,
);

const verbs = Object.entries(doc.paths)
  .filter(([path]) => path !== '/v1/files')
  .map(([path, item]) => {
    const name = path.slice('/v1/'.length);
    const ref = item.post.requestBody.content['application/json'].schema.$ref.split('/').pop();
    return {
      name,
      doc: item.post.summary,
      named: 'requestID' in (doc.components.schemas[ref].properties ?? {}),
      server: item.post.tags[0] === 'Administration',
    };
  })
  .filter((v) => !v.server);

const types = astToString(await openapiTS(doc));
const body = verbs
  .map(
    (v) =>
      `  /** ${v.doc} */\n  ${v.name}(request${requiredOf(v.name) ? '' : '?'}: Request<'${v.name}'>): Promise<Response<'${v.name}'>>;`,
  )
  .join('\n');

function requiredOf(name) {
  const ref = doc.paths['/v1/' + name].post.requestBody.content['application/json'].schema.$ref.split('/').pop();
  return (doc.components.schemas[ref].required ?? []).length > 0;
}

writeFileSync(
  new URL('src/schema.ts', import.meta.url),
  `// Made by generate.mjs from the server's OpenAPI description. Do not edit.
${types}
export type Schemas = components['schemas'];
/** What a verb takes. */
export type Request<V extends string> = \`/v1/\${V}\` extends keyof paths
  ? paths[\`/v1/\${V}\`] extends { post: { requestBody: { content: { 'application/json': infer Q } } } } ? Omit<Q, '$schema'> : never
  : never;
/** What a verb answers. */
export type Response<V extends string> = \`/v1/\${V}\` extends keyof paths
  ? paths[\`/v1/\${V}\`] extends { post: { responses: { 200: { content: { 'application/json': infer R } } } } } ? R : never
  : never;

/** The verbs, as methods. A refusal rejects with a BeckonError. */
export interface Verbs {
${body}
}

/** The verbs that a device may call. true: the call carries a requestID, so that sending it again does nothing twice. */
export const verbs: Record<keyof Verbs, boolean> = {
${verbs.map((v) => `  ${v.name}: ${v.named},`).join('\n')}
};
`,
);
