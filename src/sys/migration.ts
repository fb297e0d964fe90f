/** The lock that moving a process to another cgroup takes (migration.c). */
import { native } from './native.js';

/**
 * Says that a process is about to be moved to another cgroup, by this one or another. The kernel then prepares for it, which
 * takes some ten milliseconds, while whoever does it gets ready: see migration.c. Returns at once. Never throws: without it
 * all goes on, only later.
 *
 * @param root where cgroups are mounted; where they are mounted elsewhere, or are v2 alone, it does nothing
 */
export function expectMigration(root = '/sys/fs/cgroup'): void {
  native.expectMigration(root);
}
