// What: what a thread remembers of parts from query to query: sums, bounds and order of their full runs.
// Why: rows below a published count never change, so what was computed of them is true for as long as the part exists.
// Invariant: an entry covers whole runs from the first one on, and is used only for a part of the same id.

export class PartCache {}
