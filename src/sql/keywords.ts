// What: which words cannot stand as names.
// Why: tick tables have columns called timestamp, first, open and interval, so the reserved set is kept small.
// Invariant: the parser and the printer use these sets, so a name that is printed bare is read back as a name.

/** Never a table, column or function name unless quoted. */
export const reservedWords: ReadonlySet<string> = new Set(
  `ALL AND AS ASC BETWEEN BY CASE CAST CROSS DESC DISTINCT ELSE END EXCEPT EXISTS FALSE FROM FULL GROUP HAVING
   ILIKE IN INNER INTERSECT IS JOIN LEFT LIKE LIMIT NOT NULL OFFSET ON OR ORDER RIGHT SELECT THEN TRUE
   UNION USING VALUES WHEN WHERE WITH`.split(/\s+/),
);

/** Names like any other, but not an alias without AS: after a table or a column they begin the next clause. */
export const notBareAliases: ReadonlySet<string> = new Set(
  'AJ0 ASOF FILTER FORMAT LATEST NATURAL OVER PLUS SAMPLE SETTINGS TABLE TOLERANCE WINDOW'.split(' '),
);

/** A name where a column stands, as clients of system.columns write it, but a keyword after DESCRIBE: printed in quotes. */
const onlyPrintedQuoted: ReadonlySet<string> = new Set(['TABLE']);

const bareName = /^[A-Za-z_][A-Za-z0-9_$]*$/;

/** The name as it must stand in SQL: bare when it can be, else in double quotes. */
export function quoteName(name: string): string {
  const word = name.toUpperCase();
  if (bareName.test(name) && !reservedWords.has(word) && !onlyPrintedQuoted.has(word)) return name;
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
