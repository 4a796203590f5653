// A certificate of its own for a test server: Node signs, but does not write certificates.

import { createHash, generateKeyPairSync, sign } from 'node:crypto';

/** Encodes a value of DER. */
function der(tag, ...parts) {
  const body = Buffer.concat(parts.map((p) => Buffer.from(p)));
  const n = body.length;
  const size = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 0xff]; // the shortest form
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const sequence = (...parts) => der(0x30, ...parts);
const oid = (...bytes) => der(0x06, bytes);

/**
 * Returns a certificate and key for a domain, in PEM, and the hash of its key, for a flag of browsers that makes them trust it
 * (--ignore-certificate-errors-spki-list).
 */
export function certificateFor(domain) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)); // ecdsa-with-SHA256
  const name = sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, domain)))); // commonName
  const names = sequence(oid(0x55, 0x1d, 0x11), der(0x04, sequence(der(0x82, domain)))); // subjectAltName
  const content = sequence(
    der(0xa0, der(0x02, [2])), // version 3
    der(0x02, [1]),
    algorithm,
    name,
    sequence(der(0x17, '200101000000Z'), der(0x18, '21200101000000Z')), // UTCTime before 2050
    name,
    spki,
    der(0xa3, sequence(names)),
  );
  const signature = sign('sha256', content, privateKey);
  const cert = sequence(content, algorithm, der(0x03, [0], signature));
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${cert.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    hash: createHash('sha256').update(spki).digest('base64'),
  };
}
