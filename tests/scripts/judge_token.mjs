// Makes keys, and says what a token says if its signature holds under one of them: by Node's own crypto, which has nothing in
// common with the server's.
//
// Usage: node judge_token.mjs keys DIR          writes ALGORITHM.pem and ALGORITHM.public.pem for each
//        node judge_token.mjs ALGORITHM FILE    reads tokens from stdin; FILE is the secret or the public key

import crypto from 'node:crypto';
import fs from 'node:fs';
import readline from 'node:readline';

const [what, path] = process.argv.slice(2);

const KEYS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};

function makeKeys() {
  for (const [name, [kind, options]] of Object.entries(KEYS)) {
    const { privateKey, publicKey } = crypto.generateKeyPairSync(kind, options);
    fs.writeFileSync(`${path}/${name}.pem`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    fs.writeFileSync(`${path}/${name}.public.pem`, publicKey.export({ type: 'spki', format: 'pem' }));
  }
  console.log('made');
}

function holds(algorithm, signed, signature, key) {
  if (algorithm === 'HS256') {
    const expected = crypto.createHmac('sha256', key).update(signed).digest();
    return expected.equals(signature);
  }
  const hash = algorithm === 'EdDSA' ? null : 'sha256';
  // A token has the two numbers of ECDSA side by side (RFC 7518 §3.4), not in DER.
  return crypto.verify(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function judge(token) {
  const [header, claims, signature] = token.split('.');
  const of = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());
  const key = fs.readFileSync(path);
  const ok =
    of(header).alg === what &&
    holds(what, `${header}.${claims}`, Buffer.from(signature, 'base64url'), key);
  return ok ? { header: of(header), claims: of(claims) } : { bad: true };
}

if (what === 'keys') {
  makeKeys();
} else {
  for await (const token of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(judge(token)));
  }
}
