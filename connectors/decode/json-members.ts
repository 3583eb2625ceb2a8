// What: the members of one JSON object as raw tokens: JSON.parse judges the document, a cut over the text keeps each value's own characters.
// Why: JSON.parse alone turns 19-digit integers into doubles; its verdict on what is JSON is the one everybody shares.
// Invariant: of a name that stands twice the last value counts, as in JSON.parse.

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Raw value tokens of the top-level members by decoded name, or the cause why there are none. A byte order mark is skipped. */
export function jsonMembers(bytes: Uint8Array): ReadonlyMap<string, string> | string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return 'not UTF-8';
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message.slice(0, 100) : String(error)}`;
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    return 'not a JSON object';
  return cutMembers(text);
}

/** The text is one valid JSON object, so only strings and brackets need to be told apart. */
function cutMembers(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text[at] !== '}') {
    const nameEnd = stringEnd(text, at);
    const name = stringValue(text.slice(at, nameEnd));
    const value = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const valueEnd = tokenEnd(text, value);
    members.set(name, text.slice(value, valueEnd));
    at = skipSpace(text, valueEnd);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return members;
}

/** What a string token, quotes included, stands for. */
export function stringValue(token: string): string {
  return token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1);
}

function skipSpace(text: string, at: number): number {
  let end = at;
  while (text[end] === ' ' || text[end] === '\n' || text[end] === '\r' || text[end] === '\t') end++;
  return end;
}

/** Past the closing quote of the string that opens at `at`. */
function stringEnd(text: string, at: number): number {
  let end = at + 1;
  while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
  return end + 1;
}

/** Past the value that begins at `at`. */
function tokenEnd(text: string, at: number): number {
  let end = at;
  let depth = 0;
  do {
    const character = text[end]!;
    if (character === '"') end = stringEnd(text, end);
    else if (character === '{' || character === '[') {
      depth++;
      end++;
    } else if (character === '}' || character === ']') {
      depth--;
      end++;
    } else if (depth > 0) end++;
    else while (!',}] \n\r\t'.includes(text[end]!)) end++;
  } while (depth > 0);
  return end;
}
