// What: the errors that leave the store, each with what an operator should do.
// Why: most first runs fail on a bucket, a region or a policy; the message must name the flag and the fix.
// Invariant: no message holds a credential, a signature or a header.

import { type ErrorCode, ZeptoError } from '../../src/kernel/errors.ts';
import { type Fault, S3Failure } from './fault.ts';
import type { Operation } from './retry.ts';
import type { S3Settings } from './settings.ts';

const actionByOperation: Readonly<Record<Operation['name'], string>> = {
  put: 's3:PutObject',
  part: 's3:PutObject',
  'create-upload': 's3:PutObject',
  'complete-upload': 's3:PutObject',
  'abort-upload': 's3:AbortMultipartUpload',
  get: 's3:GetObject',
  list: 's3:ListBucket',
  delete: 's3:DeleteObject',
};

/** Passing faults that lasted longer than patience. */
export function unavailable(
  operation: Operation,
  fault: Fault,
  error: unknown,
  settings: S3Settings,
  attempts: number,
  spentMs: number,
): ZeptoError {
  const where = settings.endpointUrl ?? `S3 in ${settings.region}`;
  const hint = reachHint(fault.code, settings);
  const message = `${describe(operation, settings)}: no success in ${attempts} attempts over ${(spentMs / 1000).toFixed(1)} s at ${where}; the last: ${reason(fault, error)}.${hint}`;
  return build('STORE_UNAVAILABLE', 'retry', message, operation, fault, error, settings);
}

/** What no retry mends. */
export function refusal(
  operation: Operation,
  fault: Fault,
  error: unknown,
  settings: S3Settings,
): ZeptoError {
  const [code, fix] = diagnosis(operation, fault, error, settings);
  const message = `${describe(operation, settings)}: ${reason(fault, error)}. ${fix}`;
  return build(code, 'stop', message, operation, fault, error, settings);
}

function diagnosis(
  operation: Operation,
  fault: Fault,
  error: unknown,
  settings: S3Settings,
): [code: ErrorCode, fix: string] {
  switch (fault.kind) {
    case 'no-bucket':
      return [
        'STORE_NO_BUCKET',
        `Create the bucket '${settings.bucket}' or correct --cold-tier-s3-bucket (and --cold-tier-s3-endpoint-url).`,
      ];
    case 'no-object':
      return ['STORE_NO_OBJECT', 'The object is not there.'];
    case 'denied':
      return ['STORE_DENIED', deniedFix(operation, fault, settings)];
    case 'expired':
      return [
        'STORE_DENIED',
        'The temporary credentials ran out and no newer ones are to be had: renew them where they come from (environment, profile, role).',
      ];
    case 'skewed':
      return ['STORE_DENIED', "This machine's clock is wrong: set it (NTP)."];
    case 'wrong-region': {
      const region = error instanceof S3Failure ? error.bucketRegion : '';
      const to = region === '' ? "the bucket's region" : region;
      return [
        'CONFIG_INVALID',
        `The bucket '${settings.bucket}' is not in ${settings.region}: set --cold-tier-s3-region to ${to}.`,
      ];
    }
    case 'endpoint':
      return [
        'CONFIG_INVALID',
        'Correct --cold-tier-s3-endpoint-url (http or https?); for a certificate of your own set NODE_EXTRA_CA_CERTS to its authority.',
      ];
    default:
      return [
        'STORE_DENIED',
        `The server takes no such request${fault.code === 'http_404' ? ': --cold-tier-s3-endpoint-url seems not to be an S3 server' : ''}; check the --cold-tier-s3-… settings against what it supports.`,
      ];
  }
}

function deniedFix(operation: Operation, fault: Fault, settings: S3Settings): string {
  switch (fault.code) {
    case 'CredentialsProviderError':
      return 'No AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the process a role.';
    case 'InvalidAccessKeyId':
    case 'InvalidToken':
    case 'SignatureDoesNotMatch':
    case 'XAdminUserNotFound':
      return 'The access key, its secret or its session token is wrong for this endpoint: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile.';
    default:
      return `Allow ${actionByOperation[operation.name]} on '${settings.bucket}' (and the KMS key, when one is set) to this credential.`;
  }
}

/** What to check when the server cannot be reached; '' for other faults. */
export function reachHint(code: string, settings: S3Settings): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const style = settings.usePathStyle ? '' : ', or set --cold-tier-s3-use-path-style';
    return settings.endpointUrl === null
      ? ' Check --cold-tier-s3-region and the name service.'
      : ` Check the host in --cold-tier-s3-endpoint-url${style}.`;
  }
  if (code === 'ECONNREFUSED') return ' Is it running? Check --cold-tier-s3-endpoint-url.';
  return '';
}

const describe = (operation: Operation, settings: S3Settings): string =>
  `S3 ${operation.name} of s3://${settings.bucket}/${operation.key}`;

/** What went wrong, in the server's words. */
export function reason(fault: Fault, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // The server's own word, also where the table does not have it.
  const word = error instanceof S3Failure ? `${error.status} ${error.code || fault.code}` : fault.code;
  return message === '' ? word : `${word} (${message})`;
}

function build(
  code: ErrorCode,
  action: 'retry' | 'stop',
  message: string,
  operation: Operation,
  fault: Fault,
  error: unknown,
  settings: S3Settings,
): ZeptoError {
  const requestId = error instanceof S3Failure ? error.requestId : '';
  return new ZeptoError(code, action, message, {
    cause: error,
    context: {
      bucket: settings.bucket,
      key: operation.key,
      operation: operation.name,
      fault: fault.code,
      ...(requestId !== '' && { requestId }),
    },
  });
}
