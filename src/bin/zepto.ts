#!/usr/bin/env node
// What: the executable `zepto`.
// Why: the package's main command; `zepto --help` lists the rest.
// Invariant: the exit status is set, not forced, so that output is flushed before the process ends.

import { runZepto } from '../cli.ts';
import { terminal } from './terminal.ts';

process.exitCode = await runZepto(process.argv.slice(2), terminal, () => import('../main.ts'));
