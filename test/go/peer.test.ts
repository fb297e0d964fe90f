/** The client of containerd 2.x: see peer-suite.ts. */
import { containerdOf, goProgram, NEWEST_CONTAINERD } from '../support/go-programs.js';
import { OF_THE_DAEMON, OF_THE_DAEMON_NEWER, OF_THE_SHIM, OF_THE_SHIM_NEWER } from './differences.js';
import { peerSuite } from './peer-suite.js';

peerSuite({
  name: `the client of containerd ${NEWEST_CONTAINERD}, on that containerd`,
  build: () => ({ program: goProgram('peer'), containerd: containerdOf(NEWEST_CONTAINERD) }),
  ofTheShim: [...OF_THE_SHIM, ...OF_THE_SHIM_NEWER],
  ofTheDaemon: [...OF_THE_DAEMON, ...OF_THE_DAEMON_NEWER],
});
