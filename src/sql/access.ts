// What: which permission a statement needs.
// Why: roles are checked on the parsed statement, never on its text.
// Invariant: every kind of statement is listed; a new one does not compile until it is.

import type { Statement } from './ast.ts';

/** read: reader and above; write: writer and above; admin: admin only. */
export type Access = 'read' | 'write' | 'admin';

export function accessOf(statement: Statement): Access {
  switch (statement.kind) {
    case 'select':
    case 'show':
    case 'describe':
      return 'read';
    case 'explain':
      // Plain EXPLAIN only plans; ANALYZE runs what it explains.
      return statement.analyze ? accessOf(statement.statement) : 'read';
    case 'insert':
    case 'update':
    case 'delete':
      return 'write';
    case 'create-table':
    case 'drop-table':
    case 'alter-table':
    case 'create-view':
    case 'drop-view':
      return 'admin';
  }
}
