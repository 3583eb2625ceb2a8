// What: what an answer or an error of an S3 server means for the one who asked.
// Why: retry, adopt, ask again with other credentials or stop is decided here alone, from a table that a test walks.
// Invariant: pure; what is not known is `refused`, which stops.

/** An answer of the server that is not a success. */
export class S3Failure extends Error {
  readonly status: number;
  /** S3's error code, such as `SlowDown`; '' when the body had none. */
  readonly code: string;
  readonly requestId: string;
  /** Where the bucket is, when the server says so. */
  readonly bucketRegion: string;
  /** The server's clock, ms since 1970 UTC; NaN when it did not say. */
  readonly serverMs: number;

  constructor(answer: {
    status: number;
    code: string;
    message: string;
    requestId: string;
    bucketRegion: string;
    serverMs: number;
  }) {
    super(answer.message);
    this.name = 'S3Failure';
    this.status = answer.status;
    this.code = answer.code;
    this.requestId = answer.requestId;
    this.bucketRegion = answer.bucketRegion;
    this.serverMs = answer.serverMs;
  }
}

export type FaultKind =
  /** Worth trying again: overload, time-outs, cut connections, conflicts. */
  | 'passing'
  /** 412: an object of that key is there. */
  | 'exists'
  /** The credential may not do this. */
  | 'denied'
  /** Temporary credentials ran out: new ones may be had. */
  | 'expired'
  /** Our clock and the server's differ by more than it tolerates. */
  | 'skewed'
  | 'no-bucket'
  | 'no-object'
  /** A multipart upload, or a part of it, that the server does not have (any more). */
  | 'no-upload'
  | 'wrong-region'
  /** The server does not know this header or call. */
  | 'not-implemented'
  /** TLS or a protocol mismatch: no retry mends it. */
  | 'endpoint'
  /** Everything else: a request that the server will never take. */
  | 'refused';

export interface Fault {
  readonly kind: FaultKind;
  /** S3's code, Node's error code or the status: one word, bounded in number, for metrics. */
  readonly code: string;
}

const kindByCode: Readonly<Record<string, FaultKind>> = {
  SlowDown: 'passing',
  InternalError: 'passing',
  ServiceUnavailable: 'passing',
  RequestTimeout: 'passing',
  RequestTimeoutException: 'passing',
  Throttling: 'passing',
  ThrottlingException: 'passing',
  RequestLimitExceeded: 'passing',
  TooManyRequests: 'passing',
  OperationAborted: 'passing',
  ConditionalRequestConflict: 'passing',
  TemporaryRedirect: 'passing',
  // The body that arrived is not the one that left: another attempt sends it anew.
  BadDigest: 'passing',
  IncompleteBody: 'passing',
  XAmzContentSHA256Mismatch: 'passing',
  XAmzContentChecksumMismatch: 'passing',
  PreconditionFailed: 'exists',
  AccessDenied: 'denied',
  AllAccessDisabled: 'denied',
  AccountProblem: 'denied',
  InvalidAccessKeyId: 'denied',
  SignatureDoesNotMatch: 'denied',
  InvalidToken: 'denied',
  NotSignedUp: 'denied',
  UnauthorizedAccess: 'denied',
  XAdminUserNotFound: 'denied',
  CredentialsProviderError: 'denied',
  ExpiredToken: 'expired',
  ExpiredTokenException: 'expired',
  TokenRefreshRequired: 'expired',
  RequestTimeTooSkewed: 'skewed',
  RequestExpired: 'skewed',
  NoSuchBucket: 'no-bucket',
  NoSuchKey: 'no-object',
  NotFound: 'no-object',
  NoSuchUpload: 'no-upload',
  InvalidPart: 'no-upload',
  PermanentRedirect: 'wrong-region',
  AuthorizationHeaderMalformed: 'wrong-region',
  IllegalLocationConstraintException: 'wrong-region',
  NotImplemented: 'not-implemented',
  // Node, sockets
  ECONNRESET: 'passing',
  ECONNREFUSED: 'passing',
  ECONNABORTED: 'passing',
  EPIPE: 'passing',
  ETIMEDOUT: 'passing',
  EHOSTUNREACH: 'passing',
  ENETUNREACH: 'passing',
  ENOTFOUND: 'passing',
  EAI_AGAIN: 'passing',
  EADDRNOTAVAIL: 'passing',
  EMFILE: 'passing',
  ENFILE: 'passing',
  TimeoutError: 'passing',
  // Node, TLS
  EPROTO: 'endpoint',
  ERR_SSL_WRONG_VERSION_NUMBER: 'endpoint',
  ERR_TLS_CERT_ALTNAME_INVALID: 'endpoint',
  CERT_HAS_EXPIRED: 'endpoint',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'endpoint',
  SELF_SIGNED_CERT_IN_CHAIN: 'endpoint',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'endpoint',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'endpoint',
};

/** For codes that the table does not know. */
function kindByStatus(status: number): FaultKind {
  // A success that could not be read to its end.
  if (status < 300) return 'passing';
  if (status >= 500) return status === 501 ? 'not-implemented' : 'passing';
  if (status === 408 || status === 409 || status === 425 || status === 429) return 'passing';
  if (status === 412) return 'exists';
  if (status === 401 || status === 403) return 'denied';
  if (status === 301) return 'wrong-region';
  if (status === 307) return 'passing';
  return 'refused';
}

/** Reads our own failures and Node's errors; the SDK's exceptions go through `plainFailure` first. */
export function classify(error: unknown): Fault {
  if (error instanceof S3Failure) {
    const known = kindByCode[error.code];
    if (known !== undefined) return { kind: known, code: error.code };
    return { kind: kindByStatus(error.status), code: `http_${error.status}` };
  }
  const code = errorCode(error);
  const known = kindByCode[code];
  if (known !== undefined) return { kind: known, code };
  // The parser's and the stream's own errors: the answer was garbled or cut.
  if (code.startsWith('HPE_') || code.startsWith('ERR_STREAM')) return { kind: 'passing', code };
  return { kind: 'refused', code: code === '' ? 'unknown' : code };
}

/** Node's code, or the name by which the SDK knows what never reached a server. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && code !== '') return code;
  return error.name === 'Error' ? '' : error.name;
}

/**
 * The SDK's exceptions hold the whole exchange, session token and signature included, and whoever logs an error's cause
 * logs them too: what leaves this connector is a copy without. Other errors are returned as they are.
 */
export function plainFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof S3Failure) return error;
  const { $metadata, $response, Region } = error as SdkException;
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  if (status === undefined) return error;
  const headers = $response?.headers ?? {};
  return new S3Failure({
    status,
    code: error.name,
    message: error.message,
    requestId: $metadata?.requestId ?? '',
    bucketRegion: headers['x-amz-bucket-region'] ?? Region ?? '',
    serverMs: Date.parse(headers.date ?? ''),
  });
}

interface SdkException extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
  readonly Region?: string;
}
