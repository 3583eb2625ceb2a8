#!/usr/bin/env node
// What: the executable `zepto_http_server`, the original's name for `zepto serve`.
// Why: its documented command lines keep working.
// Invariant: same settings, same behaviour as `zepto serve`.

import { runServe } from '../cli.ts';
import { terminal } from './terminal.ts';

process.exitCode = await runServe(
  'zepto_http_server',
  process.argv.slice(2),
  terminal,
  () => import('../main.ts'),
);
