// What: the one error of the services, a message that says what went wrong and what to do about it.
// Why: whoever starts the services for the first time has a missing tool or a busy port, not a defect to read code for.
// Invariant: the last line of the message is something the reader can do.

export class ServiceError extends Error {
  constructor(problem: string, todo: string, options: { cause?: unknown; detail?: string } = {}) {
    const detail = options.detail ? `\n${options.detail.trimEnd().replace(/^/gm, '  | ')}` : '';
    super(
      `${problem}${detail}\nTo do: ${todo}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = 'ServiceError';
  }
}

/** Where progress goes, a line at a time. */
export type Report = (line: string) => void;

export const reportToStderr: Report = (line) => {
  process.stderr.write(`services: ${line}\n`);
};
