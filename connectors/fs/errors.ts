// What: errors of the file system in our own terms.
// Why: a full disk is waited out, everything else needs an operator, and both need the path and what to do.
// Invariant: an unknown errno stops.

import { ZeptoError } from '../../src/kernel/errors.ts';

/** '' when it is not an error of the system. */
export function errnoOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : '';
}

const fixByErrno: Readonly<Record<string, string>> = {
  EACCES: 'Let the user of this process write there, or choose another --hdb-dir.',
  EPERM: 'Let the user of this process write there, or choose another --hdb-dir.',
  EROFS: 'The file system is mounted read-only: remount it, or choose another --hdb-dir.',
  EIO: 'The device fails: look at the kernel log, and replace it.',
  ENOTDIR: 'A file stands where a folder is needed: move it away, or choose another --hdb-dir.',
  EISDIR: 'A folder stands where a file is needed: move it away, or choose another --hdb-dir.',
  ENAMETOOLONG: 'Choose a shorter --hdb-dir.',
  ELOOP: 'The path has a loop of symbolic links: choose another --hdb-dir.',
  ENOENT: 'Something removed the folder while it was in use: leave --hdb-dir to this process.',
  EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
  ENFILE: 'Too many files are open on this machine: raise fs.file-max.',
};

const passing = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EINTR', 'EBUSY', 'ENOMEM']);

export function diskError(what: string, path: string, error: unknown): ZeptoError {
  if (error instanceof ZeptoError) return error;
  const errno = errnoOf(error);
  const context = { path, errno };
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    const full = errno === 'EDQUOT' ? 'the quota is used up' : 'the disk is full';
    const message = `cannot ${what} ${path}: ${full} (${errno}). Free space there; writing goes on by itself.`;
    return new ZeptoError('DISK_FULL', 'retry', message, { cause: error, context });
  }
  const reason = errno === '' && error instanceof Error ? error.message : errno;
  const message = `cannot ${what} ${path}: ${reason}. ${fixByErrno[errno] ?? 'Look at the disk and the mount.'}`;
  return new ZeptoError('DISK_ERROR', passing.has(errno) ? 'retry' : 'stop', message, {
    cause: error,
    context,
  });
}
