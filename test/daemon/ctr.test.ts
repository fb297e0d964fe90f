/**
 * Every command of ctr against hawserd and against the real containerd: the same comes of it, or something else that is meant.
 * Begins first: it takes two minutes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, versions } from '../support/ctr-table.js';
import { patiently } from '../support/eventually.js';

for (const version of versions()) {
  test(
    `ctr ${version.name} gets from hawserd what containerd ${version.name} would give it`,
    { timeout: patiently(400_000) },
    async () => {
      const rows = await compare(version);
      const shown = ({
        exitCode,
        stdout,
        stderr,
      }: {
        exitCode: number | undefined;
        stdout: string;
        stderr: string;
      }): string => `exit ${exitCode}\n${stdout}\n${stderr}`;
      const wrong = rows.filter(({ same, reason }) => !same && reason === undefined);
      assert.equal(
        wrong
          .map(
            ({ command, hawserd, containerd }) =>
              `ctr ${command}\n--- hawserd: ${shown(hawserd)}\n--- containerd: ${shown(containerd)}`,
          )
          .join('\n\n'),
        '',
      );
      assert.ok(rows.length > 200, `${rows.length} rows`);
    },
  );
}
