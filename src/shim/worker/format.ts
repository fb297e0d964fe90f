/**
 * Of the record that a worker leaves (handover.ts). One that is newer than this can't be read; all older ones can. Not a plain number, so
 * that a bundle has it in one place, where a test may put another.
 */
export const FORMAT = Object.freeze({ record: 3 }).record;
