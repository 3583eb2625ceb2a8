// What: the command line: which command, its help, and how its end becomes an exit status.
// Why: one place decides what is a usage error (2), a failure while running (1) and success (0).
// Invariant: help goes to standard output, errors to standard error; nothing heavy is loaded before a command runs.

import { overviewHelp, serveHelp, serveNeeds } from './cli/help.ts';
import { packageVersion } from './cli/version.ts';
import { effectiveConfigFile } from './config/describe.ts';
import { type LoadedConfig, loadConfig } from './config/load.ts';
import { readFlags } from './config/read-flags.ts';
import { ZeptoError } from './kernel/errors.ts';
import { suggestion } from './kernel/nearest.ts';

/** What the composition root can do. Each resolves with the exit status. */
export interface Commands {
  serve(loaded: LoadedConfig): Promise<number>;
  /** The others read their own arguments, `--help` included; a wrong one is a ZeptoError CONFIG_INVALID. */
  demo(args: readonly string[]): Promise<number>;
  verify(args: readonly string[]): Promise<number>;
  inspect(args: readonly string[]): Promise<number>;
}

export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

const COMMAND_NAMES = ['serve', 'demo', 'verify', 'inspect', 'version', 'help'] as const;

/** `zepto …`. @param load imports the composition root, when a command needs it. */
export async function runZepto(
  argv: readonly string[],
  terminal: Terminal,
  load: () => Promise<Commands>,
): Promise<number> {
  const [command, ...args] = argv;
  switch (command) {
    case undefined:
      terminal.err(overviewHelp);
      return EXIT_USAGE;
    case 'help':
    case '--help':
    case '-h':
      if (args[0] !== undefined && args[0] !== 'help') return runZepto([args[0], '--help'], terminal, load);
      terminal.out(overviewHelp);
      return EXIT_OK;
    case 'version':
    case '--version':
    case '-v':
    case '-V': {
      const { name, version } = packageVersion();
      terminal.out(`${name} ${version} (node ${process.version}, ${process.platform}-${process.arch})\n`);
      return EXIT_OK;
    }
    case 'serve':
      return runServe('zepto serve', args, terminal, load);
    case 'demo':
    case 'verify':
    case 'inspect':
      return withExitStatus(terminal, async () => (await load())[command](args));
    default:
      terminal.err(
        command.startsWith('-')
          ? `Error: a command comes first, such as \`zepto serve ${command} …\`. See zepto --help\n`
          : `Error: unknown command "${command}"${suggestion(command, COMMAND_NAMES)} See zepto --help\n`,
      );
      return EXIT_USAGE;
  }
}

/** `zepto serve …` and `zepto_http_server …`. */
export async function runServe(
  program: string,
  args: readonly string[],
  terminal: Terminal,
  load: () => Promise<Commands>,
): Promise<number> {
  if (args.length === 0 && !Object.keys(terminal.env).some((name) => name.startsWith('ZEPTO_'))) {
    terminal.err(serveNeeds(program));
    return EXIT_USAGE;
  }
  const { help, printConfig } = readFlags(args);
  if (help) {
    terminal.out(serveHelp(program));
    return EXIT_OK;
  }
  return withExitStatus(terminal, async () => {
    const loaded = loadConfig({ argv: args, env: terminal.env });
    if (!printConfig) return (await load()).serve(loaded);
    terminal.out(effectiveConfigFile(loaded));
    for (const notice of loaded.notices) terminal.err(`${notice}\n`);
    return EXIT_OK;
  });
}

async function withExitStatus(terminal: Terminal, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    terminal.err(`Error: ${error instanceof Error ? error.message : String(error)}\n`);
    if (!(error instanceof ZeptoError)) {
      // A defect of ours: the stack is what a report needs.
      if (error instanceof Error && error.stack !== undefined) terminal.err(`${error.stack}\n`);
      return EXIT_FAILED;
    }
    return error.code === 'CONFIG_INVALID' ? EXIT_USAGE : EXIT_FAILED;
  }
}
