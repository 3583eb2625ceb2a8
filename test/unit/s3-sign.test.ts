// What: signatures against the examples that AWS publishes, and what must and must not change them.
// Why: a wrong signature is refused by every server, and a right one for the wrong bytes would be worse.
// Invariant: the vectors are AWS's own (developer guide, "Signature Calculations for the Authorization Header").

import { describe, expect, test } from 'vitest';
import { amzDate, createSigner, encodeKey, sha256Hex } from '../../connectors/s3/sign.ts';

const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};

/** The guide's PUT of `test$file.text`. */
const example = {
  method: 'PUT',
  path: `/${encodeKey('test$file.text')}`,
  headers: {
    date: 'Fri, 24 May 2013 00:00:00 GMT',
    host: 'examplebucket.s3.amazonaws.com',
    'x-amz-content-sha256': sha256Hex('Welcome to Amazon S3.'),
    'x-amz-date': '20130524T000000Z',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  },
};

describe('signature version 4', () => {
  test("AWS's example of a PUT has the published signature", () => {
    expect(createSigner('us-east-1', 's3').authorization(example, credentials)).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ' +
        'SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, ' +
        'Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    );
  });

  test('the order in which headers are given does not matter', () => {
    const reversed = Object.fromEntries(Object.entries(example.headers).reverse());
    const signer = createSigner('us-east-1', 's3');
    expect(signer.authorization({ ...example, headers: reversed }, credentials)).toBe(
      signer.authorization(example, credentials),
    );
  });

  test('the kept key is given up on another day and for another secret', () => {
    const kept = createSigner('us-east-1', 's3');
    const nextDay = { ...example, headers: { ...example.headers, 'x-amz-date': '20130525T000000Z' } };
    const other = { ...credentials, secretAccessKey: 'another' };
    kept.authorization(example, credentials);
    for (const [request, identity] of [
      [nextDay, credentials],
      [nextDay, other],
      [example, other],
      [example, credentials],
    ] as const) {
      const fresh = createSigner('us-east-1', 's3').authorization(request, identity);
      expect(kept.authorization(request, identity)).toBe(fresh);
    }
  });

  test('dates and keys are written as S3 reads them', () => {
    expect(amzDate(Date.UTC(2026, 2, 21, 14, 5, 9, 987))).toBe('20260321T140509Z');
    expect(encodeKey("year=2026/a b+c%/(x)!*'~-._/é")).toBe(
      'year%3D2026/a%20b%2Bc%25/%28x%29%21%2A%27~-._/%C3%A9',
    );
  });
});
