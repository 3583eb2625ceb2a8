// What: every kind of answer and error, and what it is taken for.
// Why: one wrong line turns an outage into a crash, or a missing permission into an endless loop.
// Invariant: errors have the shapes that our request, the SDK and Node give them.

import { expect, test } from 'vitest';
import { classify, plainFailure, S3Failure } from '../../connectors/s3/fault.ts';

const answer = (status: number, code = ''): S3Failure =>
  new S3Failure({ status, code, message: '', requestId: '', bucketRegion: '', serverMs: Number.NaN });

const fromSdk = (status: number, name: string): Error =>
  Object.assign(new Error('message'), { name, $metadata: { httpStatusCode: status } });

const fromNode = (code: string, name = 'Error'): Error => Object.assign(new Error('message'), { code, name });

test.each([
  ['SlowDown', 503, 'passing'],
  ['InternalError', 500, 'passing'],
  // A success that cannot be parsed.
  ['SyntaxError', 200, 'passing'],
  // Also inside a 200, as CompleteMultipartUpload may answer.
  ['InternalError', 200, 'passing'],
  ['', 502, 'passing'],
  ['', 504, 'passing'],
  ['', 429, 'passing'],
  ['RequestTimeout', 400, 'passing'],
  ['BadDigest', 400, 'passing'],
  ['ConditionalRequestConflict', 409, 'passing'],
  ['', 409, 'passing'],
  ['', 307, 'passing'],
  ['PreconditionFailed', 412, 'exists'],
  ['', 412, 'exists'],
  ['AccessDenied', 403, 'denied'],
  ['SomethingNew', 403, 'denied'],
  ['', 401, 'denied'],
  ['XAdminUserNotFound', 404, 'denied'],
  ['ExpiredToken', 400, 'expired'],
  ['RequestTimeTooSkewed', 403, 'skewed'],
  ['NoSuchBucket', 404, 'no-bucket'],
  ['NoSuchKey', 404, 'no-object'],
  ['NoSuchUpload', 404, 'no-upload'],
  ['InvalidPart', 400, 'no-upload'],
  ['PermanentRedirect', 301, 'wrong-region'],
  ['AuthorizationHeaderMalformed', 400, 'wrong-region'],
  ['', 301, 'wrong-region'],
  ['NotImplemented', 501, 'not-implemented'],
  ['', 501, 'not-implemented'],
  ['InvalidStorageClass', 400, 'refused'],
  ['', 404, 'refused'],
  ['', 405, 'refused'],
] as const)('an answer %j with status %d is %s, from us and from the SDK', (code, status, kind) => {
  expect(classify(answer(status, code)).kind).toBe(kind);
  expect(classify(plainFailure(fromSdk(status, code))).kind).toBe(kind);
});

test.each([
  ['ECONNRESET', 'passing'],
  ['ECONNREFUSED', 'passing'],
  ['ENOTFOUND', 'passing'],
  ['ETIMEDOUT', 'passing'],
  ['EPIPE', 'passing'],
  ['HPE_INVALID_CONSTANT', 'passing'],
  ['EPROTO', 'endpoint'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'endpoint'],
  ['ERR_INVALID_ARG_TYPE', 'refused'],
] as const)("Node's error %s is %s", (code, kind) => {
  expect(classify(fromNode(code))).toEqual({ kind, code });
});

test("the SDK's own time-out passes, its missing credentials are a refusal, and the unknown stops", () => {
  expect(classify(fromNode('', 'TimeoutError')).kind).toBe('passing');
  expect(classify(fromNode('', 'CredentialsProviderError')).kind).toBe('denied');
  expect(classify(new TypeError('a bug')).kind).toBe('refused');
  expect(classify('a string').kind).toBe('refused');
});

test('codes for metrics are one word', () => {
  expect(classify(answer(503)).code).toBe('http_503');
  expect(classify(answer(503, 'SlowDown')).code).toBe('SlowDown');
  expect(classify(new Error('x')).code).toBe('unknown');
});

test("what is kept of the SDK's exceptions holds neither request nor headers", () => {
  const exception = Object.assign(fromSdk(301, 'PermanentRedirect'), {
    $response: {
      headers: { 'x-amz-bucket-region': 'eu-central-1', date: 'Sat, 21 Mar 2026 14:00:00 GMT' },
      body: { req: { _headers: { 'x-amz-security-token': 'secret' } } },
    },
  });
  const failure = plainFailure(exception) as S3Failure;
  expect(failure).toBeInstanceOf(S3Failure);
  expect(failure).toMatchObject({ status: 301, code: 'PermanentRedirect', bucketRegion: 'eu-central-1' });
  expect(failure.serverMs).toBe(Date.UTC(2026, 2, 21, 14));
  expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain('secret');
  expect(failure.cause).toBeUndefined();
  const reset = fromNode('ECONNRESET');
  expect(plainFailure(reset)).toBe(reset);
});
