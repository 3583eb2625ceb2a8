// What: the process's environment and standard streams.
// Why: the command line itself is tested without a process.
// Invariant: a reader that goes away (`zepto serve --help | head`) ends the process quietly.

import type { Terminal } from '../cli.ts';

for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

// The SDK's notice about future Node versions is for us who pin it, not for those who run it.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

export const terminal: Terminal = {
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};
