// What: a JSON log line as text for people: time, level, message, fields.
// Why: the demo and a developer's terminal; log collectors get the JSON.
// Invariant: a line that is no JSON passes through unchanged; nothing is left out.

const COLOURS: Readonly<Record<string, string>> = {
  debug: '\u001b[90m',
  info: '\u001b[36m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};
const RESET = '\u001b[0m';

/** @param line one JSON object and its line end. */
export function prettyLine(line: string, colours: boolean): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const { time, level, message, ...fields } = entry;
  const clock = typeof time === 'string' ? time.slice(11, 23) : '';
  const word = String(level).toUpperCase().padEnd(5);
  const shown = colours ? `${COLOURS[String(level)] ?? ''}${word}${RESET}` : word;
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${fieldText(value)}`);
  return `${clock} ${shown} ${String(message ?? '')}${rest.join('')}\n`;
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? 'undefined';
}
